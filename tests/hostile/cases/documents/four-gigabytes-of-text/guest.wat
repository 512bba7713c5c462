;;@ fields
    (data (i32.const 4096) "\81\a4text\db\ff\ff\ff\ff")

;;@ generate
(call $ok_bytes (i32.const 4096) (i32.const 11))
