;;@ generate
(drop (call $hi)) (i32.const 1027)
