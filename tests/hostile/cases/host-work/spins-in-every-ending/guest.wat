;;@ fields
    (global $begun (mut i64) (i64.const 0))

;;@ generate-stream
(global.set $begun (call $monotonic_now))
(call $ok_u32 (call $new_stream (i32.const 7)))

;;@ next
(loop $wait (br_if $wait (i64.lt_u (i64.sub (call $monotonic_now) (global.get $begun)) (i64.const 280000000))))
(call $event)

;;@ destructor
(loop $for_ever (br $for_ever)) (unreachable)

;;@ shutdown
(loop $for_ever (br $for_ever)) (unreachable)
