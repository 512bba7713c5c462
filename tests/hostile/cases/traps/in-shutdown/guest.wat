;;@ shutdown
(unreachable)
