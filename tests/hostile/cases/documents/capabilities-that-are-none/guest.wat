;;@ capabilities
(call $ok_bytes (i32.const 2096) (i32.const 3))
