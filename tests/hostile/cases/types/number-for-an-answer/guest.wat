;;@ generate type
(param "call" $payload) (result u64)

;;@ generate core
(param i32 i32 i32) (result i64)

;;@ generate
(i64.const 0x4141414141414141)
