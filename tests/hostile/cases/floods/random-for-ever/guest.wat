;;@ realloc
      (if (i32.eq (local.get $size) (i32.const 65536)) (then (return (i32.const 131072))))

;;@ generate
(loop $again (call $get_bytes (i32.const 65536) (i32.const 512)) (br $again)) (unreachable)
