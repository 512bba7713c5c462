;;@ dims
(call $ok_u32 (i32.const 0))
