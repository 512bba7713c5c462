;;@ generate
(call $get_bytes (i32.const -1) (i32.const 512)) (call $hi)
