;;@ generate
(loop $for_ever (br $for_ever)) (unreachable)
