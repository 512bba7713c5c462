;;@ imports
{{wasi streams}}
{{wasi stdin}}

;;@ before module
  (core func $get_stdin (canon lower (func $stdin "get-stdin")))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory $memory) (realloc (core func $libc "realloc"))))

;;@ more host functions
(export "get-stdin" (func $get_stdin)) (export "read" (func $read))

;;@ more imports
    (import "host" "get-stdin" (func $get_stdin (result i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))

;;@ generate
(call $read (call $get_stdin) (i64.const 4096) (i32.const 512))
(if (result i32) (i32.load8_u (i32.const 512))
  ;; It is closed, or broken.
  (then (call $say (i32.const 0)))
  (else (call $say (i32.load (i32.const 520)))))
