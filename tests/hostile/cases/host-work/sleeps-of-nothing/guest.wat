;;@ generate
(loop $for_ever
  (call $sleep (i64.const 0))
  (br $for_ever))
(unreachable)
