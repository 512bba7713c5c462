;;@ fields
    (data (i32.const 4096) "\83\a6method\a4POST\a3url\b7http://127.0.0.1:{{port}}/\a7headers\91\92\b6x-http-method-override\a6DELETE")

;;@ generate
(call $fetch (i32.const 0) (i32.const 4096) (i32.const 81))
