;;@ fields
    (data (i32.const 4096) "artifacts/f")

;;@ generate
(loop $for_ever
  (if (call $write (i32.const 4096) (i32.const 11) (i32.const 4096)) (then (return (call $pass_on))))
  (call $files_sync (i32.const 4096) (i32.const 11) (i32.const 1280))
  (br $for_ever))
(unreachable)
