;;@ fields
    (data (i32.const 4096) "\82\a4type\a9__class__\a8__init__\c0")

;;@ next
(call $ok_some (i32.const 4096) (i32.const 26))
