;; An embedder, of two dimensions.

;;@ dims
(call $ok_u32 (i32.const 2))

;;@ embed-texts
(call $vectors)

;;@ functions
    (func (export "dims") (result i32) {{dims}})
    (func (export "embed-texts") (param i32 i32 i32) (result i32) {{embed-texts}})

;;@ lifts
  (func $dims (result (result u32 (error $error))) (canon lift (core func $main "dims")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (func $embed_texts (param "call" $payload) (result (result $payload (error $error)))
    (canon lift (core func $main "embed-texts")
      (memory $memory) (realloc (core func $libc "realloc"))))

;;@ exports
  (instance $embedder (export "dims" (func $dims)) (export "embed-texts" (func $embed_texts)))
  (export "orchestrator:plugin/embedder@1.0.0" (instance $embedder))
