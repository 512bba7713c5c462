;; Both functions of the skeleton answer whatever is asked.
;;@ execute
(call $ran)

;;@ is-allowed
(call $ok_u32 (i32.const 1))
