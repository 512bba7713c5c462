;;@ libc module
  ;; This realloc calls the host: the module that has it needs an import.
  (core func $early_clock (canon lower (func $clock "wall-now")))
  (core module $libc
    (import "host" "wall-now" (func $wall_now (result i64)))
    (memory (export "memory") 4)
    (global $calls (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.gt_u (global.get $calls) (i32.const 1)) (then (drop (call $wall_now))))
      (i32.const 65536))
    (func (export "reset")))
  (core instance $libc (instantiate $libc
    (with "host" (instance (export "wall-now" (func $early_clock))))))
  (alias core export $libc "memory" (core memory $memory))
