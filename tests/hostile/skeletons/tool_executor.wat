;; A tool executor.

;;@ execute
(call $ran)

;;@ is-allowed
(call $ok_u32 (i32.const 1))

;;@ functions
    (func (export "execute") (param i32 i32 i32) (result i32) {{execute}})
    (func (export "is-allowed") (param i32 i32 i32) (result i32) {{is-allowed}})

;;@ lifts
  (func $execute (param "call" $payload) (result (result $payload (error $error)))
    (canon lift (core func $main "execute")
      (memory $memory) (realloc (core func $libc "realloc"))))
  (func $is_allowed (param "call" $payload) (result (result bool (error $error)))
    (canon lift (core func $main "is-allowed")
      (memory $memory) (realloc (core func $libc "realloc"))))

;;@ exports
  (instance $tool_executor
    (export "execute" (func $execute)) (export "is-allowed" (func $is_allowed)))
  (export "orchestrator:plugin/tool-executor@1.0.0" (instance $tool_executor))
