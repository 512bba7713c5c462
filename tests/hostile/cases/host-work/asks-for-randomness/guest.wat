;;@ generate
(loop $for_ever
  (call $get_bytes (i32.const 65536) (i32.const 1280)) (call $reset)
  (br $for_ever))
(unreachable)
