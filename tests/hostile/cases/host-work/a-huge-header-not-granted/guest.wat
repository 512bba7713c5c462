;;@ memory
(memory (export "memory") 239)

;;@ fields
    (data (i32.const 4096) "\c2\83\c2\a6method\c2\a3GET\c2\a3url\c2\b7http://127.0.0.1:{{port}}/\c2\a7headers\c2\91\c2\92\c2\a1x\c3\9b\00\c3\95\c2\9f\c2\80")
    (data (i32.const 4176) "x")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 70) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4176) (i32.const 1) (i32.const 14000000)))
(call $fetch (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
