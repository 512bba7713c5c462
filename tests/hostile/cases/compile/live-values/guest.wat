;;@ fields
    (func (param i32) (result i64) (local $a i64)
      {{values}}
      {{branches}}
      (local.get $a)
      {{sum}})

;;@ values * 8000
      (i64.load (local.get 0))

;;@ branches * 30000
      (if (i32.load8_u (local.get 0)) (then
        (local.set $a (i64.add (local.get $a) (i64.load (i32.wrap_i64 (local.get $a)))))))

;;@ sum * 8000
      (i64.add)
