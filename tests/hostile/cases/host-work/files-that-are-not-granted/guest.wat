;;@ fields
    (data (i32.const 4096) "data/f")

;;@ generate
(loop $for_ever
  (drop (call $resize (i32.const 4096) (i32.const 6) (i64.const 1)))
  (br $for_ever))
(unreachable)
