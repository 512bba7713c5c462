;;@ memory
(memory (export "memory") 1000)

;;@ generate
(call $err (i32.const 10) (i32.const 65536) (i32.const 60000000))
