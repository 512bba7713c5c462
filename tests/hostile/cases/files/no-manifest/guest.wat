;;@ init
(unreachable)
