;;@ grow
(drop (memory.grow (i32.const 508)))

;;@ generate
(local $at i32) (local $seen i32)
{{grow}}
(local.set $at (i32.const 131072))
(loop $more
  (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then
    (local.set $seen (i32.add (local.get $seen) (i32.const 1)))))
  (local.set $at (i32.add (local.get $at) (i32.const 8)))
  (br_if $more (i32.lt_u (local.get $at) (i32.const 33554432))))
(call $say (local.get $seen))
