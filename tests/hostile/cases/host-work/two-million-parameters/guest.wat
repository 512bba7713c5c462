;;@ memory
(memory (export "memory") 270)

;;@ fields
    (data (i32.const 4096) "\c2\83\c2\a6method\c2\a3GET\c2\a3url\c2\b7http://127.0.0.1:{{port}}/\c2\a5query\c3\9d\00\1e\c2\84\c2\80")
    (data (i32.const 4160) "\c2\92\c2\a1a\c2\a1b")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 60) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4160) (i32.const 8) (i32.const 2000000)))
(call $fetch (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
