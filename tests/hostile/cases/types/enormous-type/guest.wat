;;@ before module
  (type $t0 (tuple u8 u8))
  (type $t1 (tuple $t0 $t0))
  (type $t2 (tuple $t1 $t1))
  (type $t3 (tuple $t2 $t2))
  (type $t4 (tuple $t3 $t3))
  (type $t5 (tuple $t4 $t4))

;;@ generate type
(param "call" (list (list (list (list (list (list (list (list (list (list (list (list (list
(list (list (list (list (list (list (list u8)))))))))))))))))))))
(result (result $payload (error $error)))

;;@ generate core
(param i32 i32) (result i32)
