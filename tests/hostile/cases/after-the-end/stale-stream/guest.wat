;;@ generate-stream
(local $stream i32)
(local.set $stream (call $new_stream (i32.const 7)))
(call $drop_stream (local.get $stream))
(call $ok_u32 (local.get $stream))
