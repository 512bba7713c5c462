;;@ fields
    (data (i32.const 4096) "artifacts/00000")

;;@ generate
(local $left i32)
(local.set $left (i32.const 10))
(loop $again
  (call $digits (i32.const 4106) (i32.const 5) (local.get $left))
  (if (call $write (i32.const 4096) (i32.const 15) (i32.const 100))
    (then (return (call $pass_on))))
  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
  (br_if $again (local.get $left)))
(call $hi)
