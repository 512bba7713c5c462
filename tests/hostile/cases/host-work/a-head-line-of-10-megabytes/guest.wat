;;@ generate
(call $get)
