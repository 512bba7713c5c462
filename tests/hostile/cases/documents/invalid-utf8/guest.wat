;;@ fields
    (data (i32.const 4096) "\81\a4\ff\fe\c0\80\ed\a0\80")

;;@ generate
(call $ok_payload (i32.const 1) (i32.const 4096) (i32.const 9))
