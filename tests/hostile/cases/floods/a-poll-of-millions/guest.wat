;;@ imports
{{wasi poll}}
{{wasi clock}}

;;@ before module
  (core func $after (canon lower (func $monotonic "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $poll_all (canon lower (func $poll "poll") (memory $memory)
    (realloc (core func $libc "realloc"))))

;;@ more host functions
(export "after" (func $after)) (export "poll" (func $poll_all))

;;@ more imports
    (import "host" "after" (func $after (param i64) (result i32)))
    (import "host" "poll" (func $poll (param i32 i32 i32)))

;;@ memory
    (memory (export "memory") 1000)

;;@ generate
(local $timer i32)
(local $at i32)
(local.set $timer (call $after (i64.const -1)))
(local.set $at (i32.const 131072))
(loop $more
  (i32.store (local.get $at) (local.get $timer))
  (local.set $at (i32.add (local.get $at) (i32.const 4)))
  (br_if $more (i32.lt_u (local.get $at) (i32.const 56131072))))
(call $poll (i32.const 131072) (i32.const 14000000) (i32.const 512))
(call $hi)
