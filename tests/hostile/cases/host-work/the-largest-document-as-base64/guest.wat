;;@ memory
(memory (export "memory") 367)

;;@ fields
    (data (i32.const 4096) "gaR0ZXh02wD//+V4")
    (data (i32.const 4112) "AAAA")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 16) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4112) (i32.const 4) (i32.const 5592396)))
(call $ok_payload (i32.const 2) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
