;;@ execute
(call $get)
