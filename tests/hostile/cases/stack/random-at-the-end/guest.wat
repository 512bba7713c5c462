;;@ libc
    ;; Always the same place.
    (global $calls (mut i32) (i32.const 0))

;;@ realloc
      (if (i32.eq (local.get $size) (i32.const 16)) (then (return (i32.const 4096))))

;;@ fields
    (func $deeper (param i32) (result i32)
      (call $get_bytes (i32.const 16) (i32.const 512))
      (i32.add (i32.const 1) (call $deeper (local.get 0))))

;;@ generate
(call $deeper (i32.const 0))
