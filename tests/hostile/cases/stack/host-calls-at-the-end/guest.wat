;;@ fields
    (func $deeper (param i32) (result i32)
      (drop (call $is_aborted))
      (drop (call $monotonic_now))
      (i32.add (i32.const 1) (call $deeper (local.get 0))))

;;@ generate
(call $deeper (i32.const 0))
