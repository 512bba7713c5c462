;;@ memory
    (memory (export "memory") 100)

;;@ generate
(call $ok_bytes (i32.const 65536) (i32.const 3000000))
