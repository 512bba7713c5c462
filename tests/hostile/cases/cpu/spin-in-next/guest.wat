;;@ fields
    (global $asked (mut i32) (i32.const 0))

;;@ next
(if (global.get $asked) (then (loop $for_ever (br $for_ever))))
(global.set $asked (i32.const 1))
(call $event)
