;;@ memory
(memory (export "memory") 1000)

;;@ generate
(call $emit (i32.const 0) (i32.const 65536) (i32.const 60000000))
(call $hi)
