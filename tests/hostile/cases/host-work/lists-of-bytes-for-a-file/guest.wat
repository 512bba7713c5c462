;;@ memory
(memory (export "memory") 50)

;;@ fields
    (data (i32.const 4096) "artifacts/f")

;;@ generate
(loop $for_ever
  (if (call $write (i32.const 4096) (i32.const 11) (i32.const 2700000)) (then (return (call $pass_on))))
  
  (br $for_ever))
(unreachable)
