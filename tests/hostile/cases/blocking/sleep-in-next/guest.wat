;;@ fields
    (global $given (mut i32) (i32.const 0))

;;@ next
(if (i32.eq (global.get $given) (i32.const 2)) (then (call $sleep (i64.const 3600000))))
(global.set $given (i32.add (global.get $given) (i32.const 1)))
(call $event)
