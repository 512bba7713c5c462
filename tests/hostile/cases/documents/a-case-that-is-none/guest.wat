;;@ generate
(call $ok_payload (i32.const 250) (i32.const 2096) (i32.const 9))
