;;@ memory
    (memory (export "memory") 30)

;;@ fields
    (data (i32.const 4096) "\82\a4text\a1a\aatool_calls\dd\00\0f\42\40")

;;@ generate
(memory.copy (i32.const 65536) (i32.const 4096) (i32.const 24))
(memory.fill (i32.const 65560) (i32.const 1) (i32.const 1000000))
(call $ok_bytes (i32.const 65536) (i32.const 1000024))
