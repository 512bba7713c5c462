;;@ fields
    (global $sum (mut i32) (i32.const 0))
    (func $read_all (local $at i32)
      (loop $more
        (global.set $sum (i32.add (global.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $more (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536))))))

;;@ generate
(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
(call $read_all)
(call $hi)
