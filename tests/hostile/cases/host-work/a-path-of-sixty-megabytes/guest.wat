;;@ memory
(memory (export "memory") 1000)

;;@ generate
(drop (call $resize (i32.const 65536) (i32.const 60000000) (i64.const 1)))
(call $hi)
