;;@ memory
(memory (export "memory") 26)

;;@ fields
    (data (i32.const 4096) "\c2\84\c2\a4type\c2\a1t\c2\a5level\c2\a4info\c2\a6fields\c2\80\c2\a7message\c3\9b\00\00\03\c3\9c")
    (data (i32.const 4160) "the-hosts-own-secret-5f2c9")

;;@ generate
(local $at i32) (local $left i32)
(local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 50) (i32.const 1)))
(local.set $at (call $repeat (local.get $at) (i32.const 4160) (i32.const 26) (i32.const 38)))
(local.set $left (i32.const 1000))
(loop $again
  (call $emit (i32.const 1) (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576)))
  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
  (br_if $again (local.get $left)))
(call $hi)
