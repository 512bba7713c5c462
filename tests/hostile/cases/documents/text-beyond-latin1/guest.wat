;;@ fields
    (data (i32.const 4096) "\e2\82\ac\f0\9f\98\80")

;;@ generate
(call $ok_payload (i32.const 1) (i32.const 4096) (i32.const 7))
