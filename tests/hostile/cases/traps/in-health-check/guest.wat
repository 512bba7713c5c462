;;@ fields
    (table 1 funcref)

;;@ health-check
(call_indirect (result i32) (i32.const 0))
