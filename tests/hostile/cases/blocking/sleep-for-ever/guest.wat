;;@ generate
(call $sleep (i64.const -1)) (call $hi)
