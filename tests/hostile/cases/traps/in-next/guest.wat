;;@ fields
    (global $given (mut i32) (i32.const 0))

;;@ next
(if (i32.eq (global.get $given) (i32.const 3)) (then
  (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))))
(global.set $given (i32.add (global.get $given) (i32.const 1)))
(call $event)
