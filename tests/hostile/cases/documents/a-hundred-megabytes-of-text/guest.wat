;;@ memory
    (memory (export "memory") 1600)

;;@ generate
(memory.fill (i32.const 65536) (i32.const 97) (i32.const 100000000))
(call $ok_payload (i32.const 1) (i32.const 65536) (i32.const 100000000))
