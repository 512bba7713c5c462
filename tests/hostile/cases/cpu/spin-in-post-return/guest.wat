;;@ generate options
(post-return (core func $main "free"))

;;@ fields
    (func (export "free") (param i32) (loop $for_ever (br $for_ever)) (unreachable))
