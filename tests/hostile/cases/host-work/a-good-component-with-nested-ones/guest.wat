;;@ generate
(call $hi)
