;;@ fields
    (data (i32.const 4096) "\82\a4dims\02\a4data\c5\1f\40")

;;@ embed-texts
(memory.fill (i32.const 4111) (i32.const 0) (i32.const 8000))
(call $ok_bytes (i32.const 4096) (i32.const 8015))
