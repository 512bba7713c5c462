;;@ imports
{{wasi exit}}

;;@ before module
  (core func $exit (canon lower (func $exit "exit")))

;;@ more host functions
(export "exit" (func $exit))

;;@ more imports
    (import "host" "exit" (func $exit (param i32)))

;;@ generate
(call $exit (i32.const 0)) (call $hi)
