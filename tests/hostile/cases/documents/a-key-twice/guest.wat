;;@ fields
    (data (i32.const 4096) "\82\a4text\a2hi\a4text\a4evil")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 19))
