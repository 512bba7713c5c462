;;@ generate
(loop $again (drop (call $wall_now)) (drop (call $monotonic_now)) (br $again))
(unreachable)
