;;@ generate type
(param "call" $payload) (param "more" u64) (result (result $payload (error $error)))

;;@ generate core
(param i32 i32 i32 i64) (result i32)
