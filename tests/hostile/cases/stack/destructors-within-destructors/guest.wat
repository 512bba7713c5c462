;;@ before destructor
  ;; The destructor needs functions of the resource that it belongs to: they are put into this
  ;; table once there are any.
  (core module $table_module (table (export "functions") 2 funcref))
  (core instance $functions (instantiate $table_module))

;;@ destructor imports
    (type $new (func (param i32) (result i32)))
    (type $drop (func (param i32)))
    (import "table" "functions" (table 2 funcref))

;;@ destructor arguments
(with "table" (instance $functions))

;;@ destructor
(call_indirect (type $drop) (call_indirect (type $new) (i32.const 1) (i32.const 0)) (i32.const 1))

;;@ before module
  (core module $filler
    (import "f" "new" (func $new (param i32) (result i32)))
    (import "f" "drop" (func $drop (param i32)))
    (import "table" "functions" (table 2 funcref))
    (elem (i32.const 0) $new $drop))
  (core instance (instantiate $filler
    (with "f" (instance (export "new" (func $new_stream)) (export "drop" (func $drop_stream))))
    (with "table" (instance $functions))))
