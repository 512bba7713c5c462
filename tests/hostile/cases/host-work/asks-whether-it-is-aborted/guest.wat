;;@ generate
(loop $for_ever
  (drop (call $is_aborted))
  (br $for_ever))
(unreachable)
