;;@ fields
    (data (i32.const 4096) "\c1")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 1))
