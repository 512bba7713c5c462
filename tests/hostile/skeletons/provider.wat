;; A provider: `generate`, and streams, which are resources with a destructor.

;;@ destructor
;; What happens when the host drops a stream.

;;@ destructor imports
;; Imports of the module that has the destructor.

;;@ destructor arguments
;; What those imports are.

;;@ before main
  {{before destructor}}
  (core module $dtor_module
    (import "libc" "memory" (memory 1))
    {{destructor imports}}
    (func (export "dtor") (param i32) {{destructor}}))
  (core instance $dtor (instantiate $dtor_module (with "libc" (instance $libc))
    {{destructor arguments}}))
  (type $event-stream (resource (rep i32) (dtor (core func $dtor "dtor"))))
  (core func $new_stream (canon resource.new $event-stream))
  (core func $drop_stream (canon resource.drop $event-stream))
  {{before module}}

;;@ before destructor
;; Further parts of the component that the destructor needs.

;;@ before module
;; Further parts of the component that the main module's imports need.

;;@ host functions
(export "new-stream" (func $new_stream)) (export "drop-stream" (func $drop_stream))
{{more host functions}}

;;@ more host functions
;; Further imports of the main module, from "host".

;;@ helper imports
    (import "host" "new-stream" (func $new_stream (param i32) (result i32)))
    (import "host" "drop-stream" (func $drop_stream (param i32)))
    {{more imports}}

;;@ more imports
;; Further imports of the main module, its side.

;;@ capabilities
(call $empty_map)

;;@ generate
(call $hi)

;;@ generate-stream
(call $ok_u32 (call $new_stream (i32.const 7)))

;;@ next
(call $ok_none)

;;@ capabilities type
(result (result $payload (error $error)))

;;@ generate type
(param "call" $payload) (result (result $payload (error $error)))

;;@ generate core
(param i32 i32 i32) (result i32)

;;@ generate options
;; Further options of its lifting.

;;@ functions
    (func (export "capabilities") (result i32) {{capabilities}})
    (func (export "generate") {{generate core}} {{generate}})
    (func (export "generate-stream") (param i32 i32 i32) (result i32) {{generate-stream}})
    (func (export "next") (param i32) (result i32) {{next}})

;;@ lifts
  (func $capabilities {{capabilities type}} (canon lift (core func $main "capabilities")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (func $generate {{generate type}} (canon lift (core func $main "generate")
    (memory $memory) (realloc (core func $libc "realloc")) {{generate options}}))
  (func $generate_stream
    (param "call" $payload) (result (result (own $event-stream) (error $error)))
    (canon lift (core func $main "generate-stream")
      (memory $memory) (realloc (core func $libc "realloc"))))
  (func $next (param "self" (borrow $event-stream)) (result (result (option $payload) (error $error)))
    (canon lift (core func $main "next") (memory $memory) (realloc (core func $libc "realloc"))))

;;@ exports
  ;; A resource has its name only within a component that exports it.
  (component $provider_shim
    (type $p (variant (case "bytes" (list u8)) (case "latin1" string) (case "base64" string)))
    (import "type-payload" (type $payload (eq $p)))
    (type $k (enum {{error kinds}}))
    (import "type-error-kind" (type $kind (eq $k)))
    (type $e (record (field "kind" $kind) (field "message" string) (field "retryable" bool)
      (field "retry-after-ms" (option u64))))
    (import "type-error" (type $error (eq $e)))
    (import "type-event-stream" (type $event-stream (sub resource)))
    (import "capabilities" (func $capabilities {{capabilities type}}))
    (import "generate" (func $generate {{generate type}}))
    (import "generate-stream" (func $generate_stream
      (param "call" $payload) (result (result (own $event-stream) (error $error)))))
    (import "next" (func $next
      (param "self" (borrow $event-stream)) (result (result (option $payload) (error $error)))))
    {{shim}}
    (export $named "event-stream" (type $event-stream))
    (export "capabilities" (func $capabilities) (func {{capabilities type}}))
    (export "generate" (func $generate) (func {{generate type}}))
    (export "generate-stream" (func $generate_stream)
      (func (param "call" $payload) (result (result (own $named) (error $error)))))
    (export "[method]event-stream.next" (func $next)
      (func (param "self" (borrow $named)) (result (result (option $payload) (error $error))))))
  (instance $provider (instantiate $provider_shim
    (with "type-payload" (type $payload)) (with "type-error-kind" (type $error_kind))
    (with "type-error" (type $error)) (with "type-event-stream" (type $event-stream))
    (with "capabilities" (func $capabilities)) (with "generate" (func $generate))
    (with "generate-stream" (func $generate_stream)) (with "next" (func $next))))
  (export "orchestrator:plugin/provider@1.0.0" (instance $provider))

;;@ shim
;; Further parts of the component that exports the interface.
