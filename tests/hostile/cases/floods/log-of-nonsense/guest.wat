;;@ generate
(call $emit (i32.const 0) (i32.const 2096) (i32.const 9)) (call $hi)
