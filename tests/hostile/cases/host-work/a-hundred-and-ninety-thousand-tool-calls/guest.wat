;;@ memory
(memory (export "memory") 78)

;;@ fields
    (data (i32.const 4096) "\c2\82\c2\a4text\c2\a1x\c2\aatool_calls\c3\9d\00\02\c3\a60")
    (data (i32.const 4128) "\c2\82\c2\a2id\c2\a1a\c2\a4name\c2\a1b")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 30) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4128) (i32.const 18) (i32.const 190000)))
(call $ok_payload (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
