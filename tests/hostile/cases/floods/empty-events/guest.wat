;;@ fields
    (data (i32.const 4096) "\82\a4type\aatext_delta\a4text\a0")

;;@ next
(call $ok_some (i32.const 4096) (i32.const 23))
