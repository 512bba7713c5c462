;;@ fields
    (func $start (loop $for_ever (br $for_ever)) (unreachable))
    (start $start)
