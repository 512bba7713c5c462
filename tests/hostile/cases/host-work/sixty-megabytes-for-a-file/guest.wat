;;@ memory
(memory (export "memory") 1000)

;;@ fields
    (data (i32.const 4096) "artifacts/f")

;;@ generate
(drop (call $write (i32.const 4096) (i32.const 11) (i32.const 60000000)))
(call $hi)
