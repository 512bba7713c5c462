;;@ destructor
(unreachable)
