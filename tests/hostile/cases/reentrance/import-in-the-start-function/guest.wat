;;@ fields
    (func $start
      (call $log)
      (call $sleep (i64.const 5))
      (call $get_bytes (i32.const 64) (i32.const 512))
      (drop (call $is_aborted)))
    (start $start)
