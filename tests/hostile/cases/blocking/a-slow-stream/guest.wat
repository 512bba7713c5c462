;;@ next
(call $sleep (i64.const 20)) (call $event)
