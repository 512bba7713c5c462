;;@ fields
    (data (i32.const 4096) "\82\a4text\a1a\a8metadata\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\80")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 210))
