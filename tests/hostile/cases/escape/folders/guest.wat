;;@ imports
{{wasi files}}

;;@ before module
  (core func $directories (canon lower (func $preopens "get-directories")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (core func $open_at (canon lower (func $files "[method]descriptor.open-at") (memory $memory)))

;;@ more host functions
(export "directories" (func $directories)) (export "open-at" (func $open_at))

;;@ more imports
    (import "host" "directories" (func $directories (param i32)))
    ;; descriptor, path flags, path, open flags, descriptor flags, place of the result
    (import "host" "open-at" (func $open_at (param i32 i32 i32 i32 i32 i32 i32)))

;;@ generate
(call $directories (i32.const 512))
(call $say (i32.load (i32.const 516)))
