;;@ memory
(memory (export "memory") 1000)

;;@ generate
(call $ok_payload (i32.const 0) (i32.const 65536) (i32.const 60000000))
