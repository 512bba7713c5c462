;;@ generate-stream
(call $ok_u32 (i32.const 0x0fffffff))
