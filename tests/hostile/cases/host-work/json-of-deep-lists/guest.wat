;;@ memory
(memory (export "memory") 270)

;;@ fields
    (data (i32.const 4096) "\c2\83\c2\a6method\c2\a4POST\c2\a3url\c2\b7http://127.0.0.1:{{port}}/\c2\a4json")
    (data (i32.const 4160) "\c2\91")
    (data (i32.const 4176) "\c2\90")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 52) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4160) (i32.const 2) (i32.const 8000000)))
(local.set $at (call $repeat (local.get $at) (i32.const 4176) (i32.const 2) (i32.const 1)))
(call $fetch (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
