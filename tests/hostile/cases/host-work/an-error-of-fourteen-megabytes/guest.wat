;;@ memory
(memory (export "memory") 239)

;;@ fields
    (data (i32.const 4096) "x")

;;@ generate
(local $at i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 1) (i32.const 14000000)))
(call $err (i32.const 10) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
