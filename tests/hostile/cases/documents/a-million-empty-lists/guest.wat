;;@ memory
    (memory (export "memory") 30)

;;@ fields
    (data (i32.const 4096) "\82\a4text\a1a\a8metadata\81\a1a\dd\00\0f\42\40")

;;@ generate
(memory.copy (i32.const 65536) (i32.const 4096) (i32.const 25))
(memory.fill (i32.const 65561) (i32.const 0x90) (i32.const 1000000))
(call $ok_bytes (i32.const 65536) (i32.const 1000025))
