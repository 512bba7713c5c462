;;@ generate
(loop $for_ever
  (drop (call $wall_now))
  (br $for_ever))
(unreachable)
