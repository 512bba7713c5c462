;;@ generate options
string-encoding=utf16

;;@ fields
    (data (i32.const 4096) "\00\d8\41\00")

;;@ generate
(call $ok_payload (i32.const 1) (i32.const 4096) (i32.const 2))
