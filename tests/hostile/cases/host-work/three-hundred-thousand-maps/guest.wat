;;@ memory
(memory (export "memory") 53)

;;@ fields
    (data (i32.const 4096) "\c2\82\c2\a4text\c2\a1x\c2\a8metadata\c2\81\c2\a1a\c3\9d\00\04\c2\93\c3\a0")
    (data (i32.const 4144) "\c2\81\c2\a1a\01")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 34) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4144) (i32.const 6) (i32.const 300000)))
(call $ok_payload (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
