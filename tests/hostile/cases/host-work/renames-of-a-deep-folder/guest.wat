;;@ fields
    (data (i32.const 4096) "data/a")
    (data (i32.const 4112) "data/b")
    (data (i32.const 4224) "data/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/A/B/C/D")

;;@ generate
(local $length i32)
(local.set $length (i32.const 6))
(loop $deeper
  (if (call $make_folder (i32.const 4224) (local.get $length)) (then (return (call $pass_on))))
  (local.set $length (i32.add (local.get $length) (i32.const 2)))
  (br_if $deeper (i32.le_u (local.get $length) (i32.const 64))))
(loop $for_ever
  (if (call $rename (i32.const 4096) (i32.const 6) (i32.const 4112) (i32.const 6))
    (then (return (call $pass_on))))
  (if (call $rename (i32.const 4112) (i32.const 6) (i32.const 4096) (i32.const 6))
    (then (return (call $pass_on))))
  (br $for_ever))
(unreachable)
