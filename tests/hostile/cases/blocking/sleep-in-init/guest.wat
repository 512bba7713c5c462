;;@ init
(call $sleep (i64.const 3600000)) (call $ok_unit)
