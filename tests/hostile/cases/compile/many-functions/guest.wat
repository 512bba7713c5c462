;;@ fields * 30000
(func)
