;;@ fields
    (global $at (mut i32) (i32.const 64))
    ;; Four thousand values of sixteen bytes are needed again after the call.
    (func $deeper (result v128)
      {{values}}
      (call $deeper)
      {{sum}})

;;@ values * 4000
      (v128.load (global.get $at))

;;@ sum * 4000
      (i64x2.add)

;;@ generate
(drop (call $deeper)) (call $hi)
