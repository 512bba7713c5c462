;;@ fields
    (global $given (mut i32) (i32.const 0))

;;@ next
(call $drop_stream (call $new_stream (i32.const 3)))
(global.set $given (i32.add (global.get $given) (i32.const 1)))
(if (result i32) (i32.gt_u (global.get $given) (i32.const 2))
  (then (call $ok_none)) (else (call $event)))
