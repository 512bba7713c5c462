;;@ fields
    (data (i32.const 4096) "\83\a4text\a2hi\91\01\01\02\03")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 14))
