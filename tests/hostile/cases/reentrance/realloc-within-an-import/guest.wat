;;@ libc module
  (core func $early_clock (canon lower (func $clock "wall-now")))
  (core module $libc
    (import "host" "wall-now" (func $wall_now (result i64)))
    (memory (export "memory") 4)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      ;; The random bytes alone are as long as this.
      (if (i32.eq (local.get 3) (i32.const 77)) (then (drop (call $wall_now))))
      (i32.const 65536))
    (func (export "reset")))
  (core instance $libc (instantiate $libc
    (with "host" (instance (export "wall-now" (func $early_clock))))))
  (alias core export $libc "memory" (core memory $memory))

;;@ generate
(call $get_bytes (i32.const 77) (i32.const 512))
(call $hi)
