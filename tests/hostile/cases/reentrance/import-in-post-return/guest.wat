;;@ generate options
(post-return (core func $main "free"))

;;@ fields
    (func (export "free") (param i32) (drop (call $wall_now)))
