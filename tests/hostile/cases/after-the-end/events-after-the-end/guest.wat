;;@ fields
    (global $asked (mut i32) (i32.const 0))

;;@ next
(global.set $asked (i32.add (global.get $asked) (i32.const 1)))
(if (result i32) (i32.eqz (i32.rem_u (global.get $asked) (i32.const 2)))
  (then (call $ok_none)) (else (call $event)))
