;;@ fields
    (data (i32.const 4096) "\82\a4text\a1a\a5usage\81\acinput_tokens\cb\3f\f8\00\00\00\00\00\00")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 37))
