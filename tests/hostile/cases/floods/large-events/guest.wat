;;@ memory
    (memory (export "memory") 30)

;;@ fields
    (data (i32.const 4096) "\82\a4type\aatext_delta\a4text\db\00\0f\42\40")

;;@ next
(drop (call $ok_some (i32.const 65536) (i32.const 1000027)))
(memory.copy (i32.const 65536) (i32.const 4096) (i32.const 27))
(memory.fill (i32.const 65563) (i32.const 97) (i32.const 1000000))
(i32.store8 (i32.const 1036) (i32.const 2))
(i32.store8 (i32.const 1036) (i32.const 0))
(i32.const 1024)
