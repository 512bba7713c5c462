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

;;@ fields
    (data (i32.const 4096) "../../../../../../../../etc/passwd")
    (global $descriptor (mut i32) (i32.const 0))

;;@ generate
(local $descriptor i32)
;; One after the other of those that a careless host may have open: each attempt traps.
(call $open_at (i32.const 1) (i32.const 1) (i32.const 4096) (i32.const 34)
  (i32.const 0) (i32.const 1) (i32.const 512))
(call $hi)
