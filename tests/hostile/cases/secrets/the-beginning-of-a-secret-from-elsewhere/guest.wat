;;@ generate
(local $response i32)
(local.set $response (call $send (i32.const 0) (i32.const 3328) (i32.const 40)))
(if (i32.eq (local.get $response) (i32.const -1)) (then (return (call $pass_on))))
(call $http_read (local.get $response) (i32.const 65536) (i32.const 1280))
(if (i32.load8_u (i32.const 1280)) (then (return (call $pass_on))))
(call $say (i32.load (i32.const 1300)))
