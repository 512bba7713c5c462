;;@ generate
(memory.fill (i32.const 65536) (i32.const 0x91) (i32.const 100000))
(call $ok_bytes (i32.const 65536) (i32.const 100000))
