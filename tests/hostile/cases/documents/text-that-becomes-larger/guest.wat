;;@ memory
    (memory (export "memory") 260)

;;@ generate
(local $at i32)
;; U+00FF, and one letter from beyond the sixteen bits that makes all the others as wide.
(local.set $at (i32.const 65536))
(loop $more
  (i32.store16 (local.get $at) (i32.const 0xbfc3))
  (local.set $at (i32.add (local.get $at) (i32.const 2)))
  (br_if $more (i32.lt_u (local.get $at) (i32.const 12000000))))
(i32.store (local.get $at) (i32.const 0x80989ff0))
(call $ok_payload (i32.const 1) (i32.const 65536)
  (i32.sub (i32.add (local.get $at) (i32.const 4)) (i32.const 65536)))
