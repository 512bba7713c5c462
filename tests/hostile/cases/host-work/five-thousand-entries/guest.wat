;;@ fields
    (data (i32.const 4096) "data/00000")

;;@ generate
(local $left i32)
(local.set $left (i32.const 5000))
(loop $again
  (call $digits (i32.const 4101) (i32.const 5) (local.get $left))
  (if (call $write (i32.const 4096) (i32.const 10) (i32.const 0))
    (then (return (call $pass_on))))
  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
  (br_if $again (local.get $left)))
(call $files_list (i32.const 4096) (i32.const 4) (i32.const 1280))
(if (call $failed) (then (return (call $pass_on))))
(call $hi)
