;;@ fields
    (func $a (param i32) (result i32) (i32.add (i32.const 1) (call $b (local.get 0))))
    (func $b (param i32) (result i32) (i32.add (i32.const 2) (call $c (local.get 0))))
    (func $c (param i32) (result i32) (i32.add (i32.const 3) (call $a (local.get 0))))

;;@ generate
(call $a (i32.const 0))
