;;@ fields
    (data (i32.const 4096) "\82\a4dims\02\a4data\c4\07\00\00\00\00\00\00\00")

;;@ embed-texts
(call $ok_bytes (i32.const 4096) (i32.const 21))
