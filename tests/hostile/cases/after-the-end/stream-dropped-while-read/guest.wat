;;@ fields
    (global $stream (mut i32) (i32.const 0))

;;@ generate-stream
(global.set $stream (call $new_stream (i32.const 7)))
(call $ok_u32 (global.get $stream))

;;@ next
(call $drop_stream (global.get $stream))
(call $event)
