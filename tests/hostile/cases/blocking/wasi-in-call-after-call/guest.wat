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

;;@ generate
(call $block (call $after (i64.const 3600000000000))) (call $hi)
