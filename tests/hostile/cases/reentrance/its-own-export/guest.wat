;;@ before module
  ;; What it calls exists only once it is instantiated: this table is filled afterwards.
  (core module $table_module
    (table (export "functions") 1 funcref)
    (type $check (func (param i32)))
    (func (export "check") (param i32)
      (call_indirect (type $check) (local.get 0) (i32.const 0))))
  (core instance $later (instantiate $table_module))

;;@ more host functions
(export "check" (func $later "check"))

;;@ more imports
    (import "host" "check" (func $check (param i32)))

;;@ after main
  (func $again (result (result $payload (error $error)))
    (canon lift (core func $main "health-check")
      (memory $memory) (realloc (core func $libc "realloc"))))
  (core func $again_lowered (canon lower (func $again)
    (memory $memory) (realloc (core func $libc "realloc"))))
  (core module $filler
    (import "f" "check" (func $check (param i32)))
    (import "table" "functions" (table 1 funcref))
    (elem (i32.const 0) $check))
  (core instance (instantiate $filler
    (with "f" (instance (export "check" (func $again_lowered))))
    (with "table" (instance $later))))

;;@ generate
(call $check (i32.const 512))
(call $hi)
