;;@ memory
(memory (export "memory") 1000)

;;@ generate
(loop $for_ever
  (memory.fill (i32.const 65536) (i32.const 7) (i32.const 60000000))
  (br $for_ever))
(unreachable)
