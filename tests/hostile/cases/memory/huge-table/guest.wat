;;@ fields
    (table 4294967295 funcref)
