;;@ memory
(memory (export "memory") 148)

;;@ fields
    (data (i32.const 4096) "\c2\82\c2\a4text\c2\a1x\c2\a8metadata\c2\81\c2\a1a\c3\9d\00\1e\c2\84\c2\80")
    (data (i32.const 4144) "\c2\91\c2\90")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 34) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4144) (i32.const 4) (i32.const 2000000)))
(call $ok_payload (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
