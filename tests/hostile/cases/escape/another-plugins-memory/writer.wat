;;@ memory
    (memory (export "memory") 512)

;;@ generate
(memory.fill (i32.const 131072) (i32.const 0x53) (i32.const 33423360))
(call $hi)
