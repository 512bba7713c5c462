;;@ imports
{{wasi exit}}

;;@ before module
  (core func $exit (canon lower (func $exit "exit")))

;;@ more host functions
(export "exit" (func $exit))

;;@ more imports
    (import "host" "exit" (func $exit (param i32)))

;;@ init
(call $exit (i32.const 1)) (call $ok_unit)
