;;@ generate
(call $ok_bytes (i32.const 262140) (i32.const 0x7fffffff))
