;;@ fields
    (data (i32.const 4096) "\93\84\a2id\a1a\a5score\cb\3f\f0\00\00\00\00\00\00\a4text\a0\a8metadata\80\84\a2id\a1a\a5score\cb\3f\f0\00\00\00\00\00\00\a4text\a0\a8metadata\80\84\a2id\a1a\a5score\cb\3f\f0\00\00\00\00\00\00\a4text\a0\a8metadata\80")

;;@ query
(call $ok_bytes (i32.const 4096) (i32.const 112))
