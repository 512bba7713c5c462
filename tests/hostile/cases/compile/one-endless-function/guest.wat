;;@ fields
    (func (param i32) (result i64) (local $a i64) (local $b i64) (local $c i64) (local $d i64)
      (block $out
        {{steps}})
      (i64.add (local.get $a) (i64.mul (local.get $b) (i64.add (local.get $c) (local.get $d)))))

;;@ steps * 12000
        (block $in
          (br_if $in (i32.and (local.get 0) (i32.const 3)))
          (local.set $a (i64.xor (local.get $b) (i64.mul (local.get $d) (i64.load (local.get 0)))))
          (br_if $out (i64.eqz (local.get $a)))
          (local.set $c (i64.rotl (local.get $a) (i64.add (local.get $b) (local.get $c))))
          (if (i64.lt_s (local.get $c) (local.get $b)) (then
            (local.set $d (i64.div_u (local.get $a) (local.get $c)))
            (local.set $b (i64.sub (local.get $b) (local.get $d))))))
