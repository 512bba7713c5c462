;;@ generate
(unreachable)
