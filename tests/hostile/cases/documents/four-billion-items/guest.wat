;;@ fields
    (data (i32.const 4096) "\dd\ff\ff\ff\ff")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 5))
