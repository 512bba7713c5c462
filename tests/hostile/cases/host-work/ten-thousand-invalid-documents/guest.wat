;;@ fields
    (data (i32.const 4096) "\c1")

;;@ generate
(local $left i32)
(local.set $left (i32.const 10000))
(loop $again
  (drop (call $send (i32.const 0) (i32.const 4096) (i32.const 1)))
  (call $reset)
  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
  (br_if $again (local.get $left)))
(call $hi)
