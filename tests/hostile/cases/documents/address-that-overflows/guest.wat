;;@ generate
(call $ok_payload (i32.const 1) (i32.const -16) (i32.const 64))
