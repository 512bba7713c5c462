;;@ fields
    ;; {"exit_code": 0, "duration_ms": 0, "stdout": a text of 100 bytes, "truncated": true}
    (data (i32.const 4096)
      "\84\a9exit_code\00\abduration_ms\00\a9truncated\c3\a6stdout\d9\64")

;;@ execute
(memory.fill (i32.const 4141) (i32.const 120) (i32.const 100))
(call $ok_bytes (i32.const 4096) (i32.const 145))
