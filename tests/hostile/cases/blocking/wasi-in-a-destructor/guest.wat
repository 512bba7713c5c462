;;@ imports
{{wasi poll}}
{{wasi clock}}

;;@ before destructor
  (core func $after (canon lower (func $monotonic "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))

;;@ destructor imports
    (import "wasi" "after" (func $after (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))

;;@ destructor arguments
(with "wasi" (instance (export "after" (func $after)) (export "block" (func $block))))

;;@ destructor
(call $block (call $after (i64.const 3600000000000)))
