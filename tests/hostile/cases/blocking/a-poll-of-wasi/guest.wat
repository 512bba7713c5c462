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

;;@ generate
(local $i i32)
(loop $more
  (i32.store (i32.add (i32.const 131072) (i32.shl (local.get $i) (i32.const 2)))
    (call $after (i64.const -1)))
  (local.set $i (i32.add (local.get $i) (i32.const 1)))
  (br_if $more (i32.lt_u (local.get $i) (i32.const 100))))
(call $poll (i32.const 131072) (i32.const 100) (i32.const 512))
(call $hi)
