;;@ imports
{{wasi poll}}
{{wasi clock}}

;;@ before module
  (core func $after (canon lower (func $monotonic "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))

;;@ more host functions
(export "after" (func $after)) (export "block" (func $block))

;;@ more imports
    (import "host" "after" (func $after (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))

;;@ more imports
    (import "host" "after" (func $after (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop-pollable" (func $drop_pollable (param i32)))

;;@ more host functions
(export "after" (func $after)) (export "block" (func $block))
(export "drop-pollable" (func $drop_pollable))

;;@ before module
  (core func $after (canon lower (func $monotonic "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop_pollable (canon resource.drop $pollable))

;;@ generate
(local $timer i32)
(loop $again
  (local.set $timer (call $after (i64.const 1000000)))
  (call $block (local.get $timer))
  (call $drop_pollable (local.get $timer))
  (br $again))
(unreachable)
