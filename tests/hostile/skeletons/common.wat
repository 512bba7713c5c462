;; What the guests of every kind are made of, in named pieces. A line that begins with `;;@` names
;; the piece that follows; `{{name}}` is where another piece goes; the whole is the piece `guest`.
;; The pieces of a kind's file are laid over these, those of a case over both.

;;@ guest
(component
{{types}}
{{log}}
{{abort}}
{{clock}}
{{random}}
{{http import}}
{{files import}}
{{imports}}
{{libc module}}
{{lowered}}
{{http lowered}}
{{files lowered}}
{{before main}}
  (core module $main
{{helpers}}
{{documents}}
{{fields}}
{{lifecycle functions}}
{{functions}})
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "emit" (func $emit)) (export "is-aborted" (func $is_aborted))
      (export "wall-now" (func $wall_now)) (export "monotonic-now" (func $monotonic_now))
      (export "sleep" (func $sleep)) (export "get-bytes" (func $get_bytes))
      {{http functions}}
      {{files functions}}
      {{host functions}}))))
{{after main}}
{{lifecycle lifts}}
{{lifts}}
{{lifecycle exports}}
{{exports}}
{{more exports}})

;;@ types
  (import "orchestrator:plugin/types@1.0.0" (instance $types
    (type $p (variant (case "bytes" (list u8)) (case "latin1" string) (case "base64" string)))
    (export "payload" (type (eq $p)))
    (type $k (enum {{error kinds}}))
    (export "error-kind" (type $kind (eq $k)))
    (type $e (record (field "kind" $kind) (field "message" string) (field "retryable" bool)
      (field "retry-after-ms" (option u64))))
    (export "error" (type (eq $e)))))
  (alias export $types "payload" (type $payload))
  (alias export $types "error" (type $error))
  (alias export $types "error-kind" (type $error_kind))

;;@ error kinds
"invalid-request" "unauthenticated" "permission-denied" "not-found" "rate-limited" "unavailable"
"timeout" "aborted" "unsupported" "out-of-memory" "internal"

;;@ log
  (import "orchestrator:plugin/log@1.0.0" (instance $log
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (export "emit" (func (param "event" $payload)))))

;;@ abort
  (import "orchestrator:plugin/abort@1.0.0" (instance $abort
    (export "is-aborted" (func (result bool)))))

;;@ clock
  (import "orchestrator:plugin/clock@1.0.0" (instance $clock
    (export "wall-now" (func (result u64)))
    (export "monotonic-now" (func (result u64)))
    (export "sleep" (func (param "duration-ms" u64)))))

;;@ random
  (import "orchestrator:plugin/random@1.0.0" (instance $random
    (export "get-bytes" (func (param "length" u32) (result (list u8))))))

;;@ imports
;; Further imports of the component.

;;@ memory
(memory (export "memory") 4)

;;@ realloc
;; What `realloc` does before it allocates.

;;@ libc
;; Further fields of the module that has the memory.

;;@ libc module
  (core module $libc
    {{memory}}
    (global $top (mut i32) (i32.const 65536))
    {{libc}}
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32)
      (param $size i32) (result i32) (local $at i32)
      {{realloc}}
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $enough
        (br_if $enough (i32.le_u (global.get $top)
          (i32.mul (memory.size) (i32.const 65536))))
        (br_if $enough (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
          (i32.div_u (local.get $size) (i32.const 65536))))))
        (unreachable))
      (if (local.get $old) (then
        (memory.copy (local.get $at) (local.get $old) (local.get $old_size))))
      (local.get $at))
    ;; Forgets all that was allocated.
    (func (export "reset") (global.set $top (i32.const 65536))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))

;;@ lowered
  (core func $emit (canon lower (func $log "emit") (memory $memory)))
  (core func $is_aborted (canon lower (func $abort "is-aborted")))
  (core func $wall_now (canon lower (func $clock "wall-now")))
  (core func $monotonic_now (canon lower (func $clock "monotonic-now")))
  (core func $sleep (canon lower (func $clock "sleep")))
  (core func $get_bytes (canon lower (func $random "get-bytes") (memory $memory)
    (realloc (core func $libc "realloc"))))

;;@ before main
;; Further parts of the component that the main module's imports need.

;;@ after main
;; Further parts of the component that need the main module.

;;@ host functions
;; Further imports of the main module, from "host".

;;@ more exports
;; Further exports of the component.

;;@ helper imports
;; Further imports of the main module, its side.

;;@ helpers
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "libc" "reset" (func $reset))
    (import "host" "emit" (func $emit (param i32 i32 i32)))
    (import "host" "is-aborted" (func $is_aborted (result i32)))
    (import "host" "wall-now" (func $wall_now (result i64)))
    (import "host" "monotonic-now" (func $monotonic_now (result i64)))
    (import "host" "sleep" (func $sleep (param i64)))
    (import "host" "get-bytes" (func $get_bytes (param i32 i32)))
    {{http helper imports}}
    {{files helper imports}}
    {{helper imports}}
    ;; A result lies at 1024: its discriminant there, its value at 1032.
    (func $ok_unit (result i32) (i32.store8 (i32.const 1024) (i32.const 0)) (i32.const 1024))
    (func $ok_payload (param $form i32) (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1032) (local.get $form))
      (i32.store (i32.const 1036) (local.get $at))
      (i32.store (i32.const 1040) (local.get $size))
      (i32.const 1024))
    (func $ok_bytes (param $at i32) (param $size i32) (result i32)
      (call $ok_payload (i32.const 0) (local.get $at) (local.get $size)))
    (func $ok_u32 (param $value i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store (i32.const 1032) (local.get $value))
      (i32.const 1024))
    (func $ok_none (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1032) (i32.const 0))
      (i32.const 1024))
    (func $ok_some (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1032) (i32.const 1))
      (i32.store8 (i32.const 1036) (i32.const 0))
      (i32.store (i32.const 1040) (local.get $at))
      (i32.store (i32.const 1044) (local.get $size))
      (i32.const 1024))
    (func $err (param $kind i32) (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store8 (i32.const 1032) (local.get $kind))
      (i32.store (i32.const 1036) (local.get $at))
      (i32.store (i32.const 1040) (local.get $size))
      (i32.store8 (i32.const 1044) (i32.const 1))
      (i32.store8 (i32.const 1048) (i32.const 0))
      (i32.const 1024))
    ;; Good answers, for the functions that are not to misbehave.
    (func $healthy (result i32) (call $ok_bytes (i32.const 2048) (i32.const 10)))
    (func $empty_map (result i32) (call $ok_bytes (i32.const 2080) (i32.const 1)))
    (func $hi (result i32) (call $ok_bytes (i32.const 2096) (i32.const 9)))
    (func $vectors (result i32) (call $ok_bytes (i32.const 2128) (i32.const 22)))
    (func $empty_list (result i32) (call $ok_bytes (i32.const 2160) (i32.const 1)))
    (func $info (result i32) (call $ok_bytes (i32.const 2176) (i32.const 19)))
    (func $ran (result i32) (call $ok_bytes (i32.const 2208) (i32.const 25)))
    (func $event (result i32) (call $ok_some (i32.const 2256) (i32.const 24)))
    (func $log (call $emit (i32.const 0) (i32.const 2288) (i32.const 38)))
    ;; `{"text": "…"}` whose text is a number in decimal: how a guest says what it saw.
    (func $say (param $value i32) (result i32) (local $at i32)
      (i64.store (i32.const 3072) (i64.const 0xaa74786574a481)) ;; {"text": a text of 10 letters
      (local.set $at (i32.const 3089))
      (loop $digit
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at)
          (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
        (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
        (br_if $digit (i32.gt_u (local.get $at) (i32.const 3079))))
      (call $ok_bytes (i32.const 3072) (i32.const 17)))
    ;; Writes so many copies of what lies at `from`, one after the other, and gives where they end.
    (func $repeat (param $to i32) (param $from i32) (param $size i32) (param $times i32)
      (result i32) (local $done i32) (local $all i32)
      (local.set $all (i32.mul (local.get $size) (local.get $times)))
      (memory.copy (local.get $to) (local.get $from) (local.get $size))
      (local.set $done (local.get $size))
      (block $whole (loop $double
        (br_if $whole (i32.gt_u (i32.shl (local.get $done) (i32.const 1)) (local.get $all)))
        (memory.copy (i32.add (local.get $to) (local.get $done)) (local.get $to)
          (local.get $done))
        (local.set $done (i32.shl (local.get $done) (i32.const 1)))
        (br $double)))
      (memory.copy (i32.add (local.get $to) (local.get $done)) (local.get $to)
        (i32.sub (local.get $all) (local.get $done)))
      (i32.add (local.get $to) (local.get $all)))
    ;; Gives an error as it came from an import, whose answer lies at 1280.
    (func $pass_on (result i32)
      (memory.copy (i32.const 1024) (i32.const 1280) (i32.const 40)) (i32.const 1024))
    {{http helpers}}
    {{files helpers}}

;;@ http import
;; Those of `http.wat`, where a case imports it; and so on.

;;@ http lowered

;;@ http functions

;;@ http helper imports

;;@ http helpers

;;@ files import
;; Those of `files.wat`, where a case imports it; and so on.

;;@ files lowered

;;@ files functions

;;@ files helper imports

;;@ files helpers

;;@ documents
    (data (i32.const 2048) "\81\a7healthy\c3")
    (data (i32.const 2080) "\80")
    (data (i32.const 2096) "\81\a4text\a2hi")
    (data (i32.const 2128) "\82\a4dims\02\a4data\c4\08\00\00\00\00\00\00\00\00")
    (data (i32.const 2160) "\90")
    (data (i32.const 2176) "\82\a7backend\a3wat\a4dims\00")
    (data (i32.const 2208) "\82\a9exit_code\00\abduration_ms\00")
    (data (i32.const 2256) "\82\a4type\aatext_delta\a4text\a1x")
    (data (i32.const 2288) "\84\a4type\a1t\a5level\a4info\a7message\a2hi\a6fields\80")

;;@ fields
;; Further fields of the main module. A case's own data lies at 4096.

;;@ init
(call $ok_unit)

;;@ health-check
(call $healthy)

;;@ shutdown
(call $ok_unit)

;;@ init type
(param "call" $payload) (result (result (error $error)))

;;@ health-check type
(result (result $payload (error $error)))

;;@ shutdown type
(result (result (error $error)))

;;@ lifecycle functions
    (func (export "init") (param i32 i32 i32) (result i32) {{init}})
    (func (export "health-check") (result i32) {{health-check}})
    (func (export "shutdown") (result i32) {{shutdown}})

;;@ lifecycle lifts
  (func $init {{init type}} (canon lift (core func $main "init")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (func $health_check {{health-check type}} (canon lift (core func $main "health-check")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (func $shutdown {{shutdown type}} (canon lift (core func $main "shutdown")
    (memory $memory) (realloc (core func $libc "realloc"))))

;;@ lifecycle exports
  (instance $lifecycle (export "init" (func $init)) (export "health-check" (func $health_check))
    (export "shutdown" (func $shutdown)))
  (export "orchestrator:plugin/lifecycle@1.0.0" (instance $lifecycle))
