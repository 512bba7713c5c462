;;@ memory
(memory (export "memory") 483)

;;@ fields
    (data (i32.const 4096) "\c2\91")
    (data (i32.const 4112) "\c2\90")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 2) (i32.const 15000000)))
(local.set $at (call $repeat (local.get $at) (i32.const 4112) (i32.const 2) (i32.const 1)))
(call $ok_payload (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
