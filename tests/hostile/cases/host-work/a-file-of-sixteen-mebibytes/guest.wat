;;@ fields
    (data (i32.const 4096) "data/f")

;;@ generate
(if (call $write (i32.const 4096) (i32.const 6) (i32.const 1)) (then (return (call $pass_on))))
(if (call $resize (i32.const 4096) (i32.const 6) (i64.const 0x1000000))
  (then (return (call $pass_on))))
(call $files_read (i32.const 4096) (i32.const 6) (i64.const 0) (i32.const 0x1000000) (i32.const 1280))
(if (call $failed) (then (return (call $pass_on))))
(call $say (i32.load (i32.const 1296)))
