;;@ imports
{{wasi environment}}

;;@ before module
  (core func $environment (canon lower (func $environment "get-environment")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (core func $arguments (canon lower (func $environment "get-arguments")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (core func $cwd (canon lower (func $environment "initial-cwd")
    (memory $memory) (realloc (core func $libc "realloc"))))

;;@ more host functions
(export "environment" (func $environment)) (export "arguments" (func $arguments))
(export "cwd" (func $cwd))

;;@ more imports
    (import "host" "environment" (func $environment (param i32)))
    (import "host" "arguments" (func $arguments (param i32)))
    (import "host" "cwd" (func $cwd (param i32)))

;;@ generate
(call $environment (i32.const 512))
(call $say (i32.load (i32.const 516)))
