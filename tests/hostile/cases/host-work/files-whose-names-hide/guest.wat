;;@ fields
    (data (i32.const 4096) "data/\1b[2Ja")
    (data (i32.const 4160) "data/a\nb")
    (data (i32.const 4224) "data/\u{202e}a")
    (data (i32.const 4288) "artifacts/\u{e0041}a")

;;@ generate
;; One that is taken is a crash.
(if (i32.eqz (call $write (i32.const 4096) (i32.const 10) (i32.const 1))) (then (unreachable)))
(if (i32.eqz (call $make_folder (i32.const 4160) (i32.const 8))) (then (unreachable)))
(if (i32.eqz (call $write (i32.const 4224) (i32.const 9) (i32.const 1))) (then (unreachable)))
(if (i32.eqz (call $write (i32.const 4288) (i32.const 15) (i32.const 1))) (then (unreachable)))
(call $pass_on)
