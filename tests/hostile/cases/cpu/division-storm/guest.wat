;;@ fields
    (global $x (mut f64) (f64.const 3))
    (global $n (mut i64) (i64.const 0x7fffffffffffffff))

;;@ generate
(loop $again
  (global.set $x (f64.sqrt (f64.div (f64.sqrt (global.get $x)) (f64.const 1e-308))))
  (global.set $n (i64.or (i64.rem_s (i64.const 0x7ffffffffffffffe) (i64.add (global.get $n) (i64.const 3)))
    (i64.const 1)))
  (br $again))
(unreachable)
