;;@ fields
    (func $ping (param i32) (result i32) (return_call $pong (local.get 0)))
    (func $pong (param i32) (result i32) (return_call $ping (local.get 0)))

;;@ generate
(call $ping (i32.const 0))
