;;@ fields
    (data (i32.const 4096) "\82\a6method\a3GET\a3url\d9\23https://the-hosts-own-secret-5f2c9d")

;;@ generate
(call $fetch (i32.const 0) (i32.const 4096) (i32.const 53))
