;;@ next
(call $event)
