;;@ memory
(memory (export "memory") 41)

;;@ fields
    (global $given (mut i32) (i32.const 0))
    (data (i32.const 4096) "\c2\85\c2\a4type\c2\aftool_call_delta\c2\a5index\00\c2\a2id\c2\a1a\c2\a4name\c2\a1b\c2\aearguments_json\c3\9b\00\0fBG{\22a\22:[0")
    (data (i32.const 4176) ",0")
    (data (i32.const 4352) "\c2\83\c2\a4type\c2\aftool_call_delta\c2\a5index\00\c2\aearguments_json\c3\9b\00\0fB@")
    (data (i32.const 4416) ",0")

;;@ next
(local $at i32)
(if (i32.eq (global.get $given) (i32.const 15)) (then (loop $for_ever (br $for_ever))))
(if (global.get $given)
(then (local.set $at (call $repeat (i32.const 1048576) (i32.const 4352) (i32.const 55) (i32.const 1)))
  (local.set $at (call $repeat (local.get $at) (i32.const 4416) (i32.const 2) (i32.const 500000))))
(else (local.set $at (call $repeat (i32.const 1048576) (i32.const 4096) (i32.const 78) (i32.const 1)))
  (local.set $at (call $repeat (local.get $at) (i32.const 4176) (i32.const 2) (i32.const 500000)))))
(global.set $given (i32.add (global.get $given) (i32.const 1)))
(drop (call $ok_some (i32.const 1048576) (i32.sub (local.get $at) (i32.const 1048576))))
(i32.store8 (i32.const 1036) (i32.const 1))
(i32.const 1024)
