;;@ fields
    (table $functions 100000 funcref)
    (elem declare func $ok_unit)

;;@ generate
(loop $again
  (table.fill $functions (i32.const 0) (ref.func $ok_unit) (i32.const 100000))
  (table.copy $functions $functions (i32.const 1) (i32.const 0) (i32.const 99999))
  (br $again))
(unreachable)
