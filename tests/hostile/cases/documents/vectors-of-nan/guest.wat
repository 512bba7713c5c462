;;@ fields
    (data (i32.const 4096) "\82\a4dims\02\a4data\c4\08\00\00\c0\7f\00\00\c0\7f")

;;@ embed-texts
(call $ok_bytes (i32.const 4096) (i32.const 22))
