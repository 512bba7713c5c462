;;@ fields
    (func $start (unreachable))
    (start $start)
