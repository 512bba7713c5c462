;;@ fields
    (type $step (func (param i32) (result i32)))
    (table 1 funcref)
    (elem (i32.const 0) $again)
    (func $again (type $step)
      (i32.add (i32.const 1)
        (call_indirect (type $step) (local.get 0) (i32.const 0))))

;;@ generate
(call $again (i32.const 1))
