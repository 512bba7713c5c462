;;@ fields
    (data (i32.const 4096) "\82\a4text\a1a\a5usage\81\acinput_tokens\c3")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 29))
