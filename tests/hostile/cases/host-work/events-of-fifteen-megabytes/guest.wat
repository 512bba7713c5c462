;;@ memory
(memory (export "memory") 254)

;;@ fields
    (data (i32.const 4096) "\c2\82\c2\a4type\c2\aatext_delta\c2\a4text\c3\9b\00\c3\a4\c3\a1\c3\80")
    (data (i32.const 4144) "x")

;;@ next
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 35) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4144) (i32.const 1) (i32.const 15000000)))
(drop (call $ok_some (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576))))
(i32.store8 (i32.const 1036) (i32.const 1))
(i32.const 1024)
