;;@ fields
    (global $grown (mut i32) (i32.const 0))

;;@ generate
(local $was i32)
(local.set $was (memory.grow (i32.const 16)))
(if (i32.ne (local.get $was) (i32.const -1)) (then
  (memory.fill (i32.mul (local.get $was) (i32.const 65536)) (i32.const 1) (i32.const 1048576))))
(call $hi)
