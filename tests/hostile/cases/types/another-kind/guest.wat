;;@ execute
(unreachable)
