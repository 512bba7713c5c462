;;@ fields
    (func (param i32) (result i64) (local $a i64) (local $b i64)
      {{steps}}
      (local.get $a))

;;@ steps * 60000
      (local.set $a (i64.xor (i64.load (local.get 0)) (i64.mul (local.get $a) (local.get $b))))
      (local.set $b (i64.rotl (local.get $a) (i64.div_s (local.get $b) (local.get $a))))
