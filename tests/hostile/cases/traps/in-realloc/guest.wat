;;@ libc
    (global $calls (mut i32) (i32.const 0))

;;@ realloc
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.gt_u (global.get $calls) (i32.const 1)) (then (unreachable)))
