;;@ libc
    (global $calls (mut i32) (i32.const 0))

;;@ realloc
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.gt_u (global.get $calls) (i32.const 1)) (then
        (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
        (memory.fill (i32.const 65536) (i32.const 1)
          (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
        (unreachable)))
