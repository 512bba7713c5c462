;;@ fields
    (memory $bytes 1 (pagesize 1))
