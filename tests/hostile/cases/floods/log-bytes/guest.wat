;;@ memory
    (memory (export "memory") 400)

;;@ generate
(call $emit (i32.const 1) (i32.const 131072) (i32.const 20000000)) (call $hi)
