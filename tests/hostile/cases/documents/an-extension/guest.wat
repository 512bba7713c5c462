;;@ fields
    (data (i32.const 4096) "\81\a4text\d6\ff\00\00\00\00")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 12))
