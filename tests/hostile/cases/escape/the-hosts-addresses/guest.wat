;;@ fields
    ;; How many of sixteen words around where the host wrote its eight bytes are not what they were.
    (func $changed (result i32) (local $at i32) (local $changed i32)
      (local.set $at (i32.const 512))
      (loop $more
        (if (i64.ne (i64.load (local.get $at)) (i64.const 0x5353535353535353)) (then
          (local.set $changed (i32.add (local.get $changed) (i32.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $more (i32.lt_u (local.get $at) (i32.const 640))))
      (local.get $changed))

;;@ generate
(memory.fill (i32.const 512) (i32.const 0x53) (i32.const 128))
(call $get_bytes (i32.const 0) (i32.const 560))
(call $get_bytes (i32.const 16) (i32.const 560))
(drop (call $wall_now))
(drop (call $is_aborted))
;; One word: the address and the length of the bytes.
(call $say (i32.sub (call $changed) (i32.const 1)))
