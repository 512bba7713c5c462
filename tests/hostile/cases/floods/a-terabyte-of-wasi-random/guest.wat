;;@ imports
{{wasi random}}

;;@ before module
  (core func $random_bytes (canon lower (func $wasi_random "get-random-bytes")
    (memory $memory) (realloc (core func $libc "realloc"))))

;;@ more host functions
(export "random-bytes" (func $random_bytes))

;;@ more imports
    (import "host" "random-bytes" (func $random_bytes (param i64 i32)))

;;@ generate
(call $random_bytes (i64.const 0x10000000000) (i32.const 512))
(call $hi)
