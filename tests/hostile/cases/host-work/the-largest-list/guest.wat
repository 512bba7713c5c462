;;@ memory
(memory (export "memory") 274)

;;@ fields
    (data (i32.const 4096) "\81\a4text\db\00\ff\ff\f5")
    (data (i32.const 4112) "x")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 11) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4112) (i32.const 1) (i32.const 16777205)))
(call $ok_payload (i32.const 0) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
