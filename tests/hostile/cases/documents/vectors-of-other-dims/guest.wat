;;@ fields
    (data (i32.const 4096) "\82\a4dims\04\a4data\c4\10\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")

;;@ embed-texts
(call $ok_bytes (i32.const 4096) (i32.const 30))
