;;@ memory
    (memory (export "memory") 60)

;;@ generate
(call $emit (i32.const 0) (i32.const 65536) (i32.const 2000000)) (call $hi)
