;;@ fields
    (data (i32.const 262143) "two")
