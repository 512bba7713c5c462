;;@ fields
    (data (i32.const 4096) "\91\84\a2id\a1a\a5score\cb\7f\f8\00\00\00\00\00\00\a4text\a0\a8metadata\80")

;;@ query
(call $ok_bytes (i32.const 4096) (i32.const 38))
