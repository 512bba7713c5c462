;;@ fields
    (data (i32.const 4096) "gaR0\0aZX==h0omhp")

;;@ generate
(call $ok_payload (i32.const 2) (i32.const 4096) (i32.const 16))
