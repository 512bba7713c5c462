;;@ fields
    (table funcref (elem $ok_unit))

;;@ generate
(call_indirect (result i32) (i32.const -1))
