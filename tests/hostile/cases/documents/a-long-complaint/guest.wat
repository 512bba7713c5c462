;;@ memory
    (memory (export "memory") 900)

;;@ generate
(memory.fill (i32.const 65536) (i32.const 97) (i32.const 50000000))
(call $err (i32.const 10) (i32.const 65536) (i32.const 50000000))
