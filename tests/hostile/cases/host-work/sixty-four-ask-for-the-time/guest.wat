;;@ generate
(loop $for_ever
  (drop (call $monotonic_now))
  (br $for_ever))
(unreachable)
