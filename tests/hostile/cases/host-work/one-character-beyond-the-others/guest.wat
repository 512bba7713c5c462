;;@ memory
(memory (export "memory") 254)

;;@ fields
    (data (i32.const 4096) "\c2\81\c2\a4text\c3\9b\00\c3\a4\c3\a1\c3\84")
    (data (i32.const 4128) "x")
    (data (i32.const 4144) "\c3\b0\c2\9f\c2\a6\c2\8a")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 17) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4128) (i32.const 1) (i32.const 15000000)))
(local.set $at (call $repeat (local.get $at) (i32.const 4144) (i32.const 8) (i32.const 1)))
(call $ok_payload (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
