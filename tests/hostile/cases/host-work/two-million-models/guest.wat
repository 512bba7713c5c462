;;@ memory
(memory (export "memory") 117)

;;@ fields
    (data (i32.const 4096) "\c2\81\c2\a6models\c3\9d\00\1e\c2\84\c2\80")
    (data (i32.const 4128) "\c2\a1m")

;;@ capabilities
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 18) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4128) (i32.const 3) (i32.const 2000000)))
(call $ok_payload (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
