;;@ fields
    (table funcref (elem $ok_unit))

;;@ generate
(call_indirect (param i64 i64) (result i32) (i64.const 1) (i64.const 2) (i32.const 0))
