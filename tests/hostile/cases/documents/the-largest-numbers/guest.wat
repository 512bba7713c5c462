;;@ fields
    (data (i32.const 4096) "\82\a9exit_code\d3\80\00\00\00\00\00\00\00\abduration_ms\cf\7f\ff\ff\ff\ff\ff\ff\ff")

;;@ execute
(call $ok_bytes (i32.const 4096) (i32.const 41))
