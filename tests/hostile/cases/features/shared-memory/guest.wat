;;@ fields
    (memory $shared 1 1000 shared)
