;;@ memory
    (memory (export "memory") 1000)

;;@ generate
(loop $again
  (memory.fill (i32.const 65536) (i32.const 7) (i32.const 0x3df0000))
  (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 0x3de0000))
  (br $again))
(unreachable)
