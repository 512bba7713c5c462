;;@ fields
    (data (i32.const 4096) "\82\a6method\a3GET\a3url\b1http://127.0.0.1/")

;;@ generate
(local $left i32)
(local.set $left (i32.const 10000))
(loop $again
  (drop (call $send (i32.const 0) (i32.const 4096) (i32.const 34)))
  (call $reset)
  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
  (br_if $again (local.get $left)))
(call $hi)
