;; The interface `http`, and how a guest makes a request and reads what comes back. Of cases that
;; have it among their `imports`.

;;@ http import
  (import "orchestrator:plugin/http@1.0.0" (instance $http
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (alias outer 1 $error (type $e)) (export "error" (type $error (eq $e)))
    (export "send" (func (param "request" $payload) (result (result $payload (error $error)))))
    (export "read" (func (param "response" u32) (param "most" u32)
      (result (result (option $payload) (error $error)))))
    (export "close" (func (param "response" u32)))))

;;@ http lowered
  (core func $http_send (canon lower (func $http "send") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $http_read (canon lower (func $http "read") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $http_close (canon lower (func $http "close")))

;;@ http functions
(export "http-send" (func $http_send)) (export "http-read" (func $http_read))
(export "http-close" (func $http_close))

;;@ http helper imports
    (import "host" "http-send" (func $http_send (param i32 i32 i32 i32)))
    (import "host" "http-read" (func $http_read (param i32 i32 i32)))
    (import "host" "http-close" (func $http_close (param i32)))

;;@ http helpers
    ;; Sends the request that lies there as a payload. Gives the number of the response, or -1 if
    ;; there is none: then the error lies at 1280.
    (func $send (param $form i32) (param $at i32) (param $size i32) (result i32)
      (local $head i32)
      (call $http_send (local.get $form) (local.get $at) (local.get $size) (i32.const 1280))
      (if (i32.load8_u (i32.const 1280)) (then (return (i32.const -1))))
      ;; {"response": its number …}
      (local.set $head (i32.add (i32.load (i32.const 1292)) (i32.const 10)))
      (if (i32.eq (i32.load8_u (local.get $head)) (i32.const 0xcc))
        (then (return (i32.load8_u offset=1 (local.get $head)))))
      (if (i32.ge_u (i32.load8_u (local.get $head)) (i32.const 0x80)) (then (unreachable)))
      (i32.load8_u (local.get $head)))
    ;; Reads a response to its end. Gives how many bytes there were, or -1: the error lies at 1280.
    (func $read_all (param $response i32) (result i32) (local $got i32)
      (loop $more
        (call $reset)
        (call $http_read (local.get $response) (i32.const 65536) (i32.const 1280))
        (if (i32.load8_u (i32.const 1280)) (then (return (i32.const -1))))
        (if (i32.load8_u (i32.const 1288)) (then
          (local.set $got (i32.add (local.get $got) (i32.load (i32.const 1300))))
          (br $more))))
      (local.get $got))
    ;; Sends a request and reads what comes back. An answer of `generate`: how many bytes there were.
    (func $fetch (param $form i32) (param $at i32) (param $size i32) (result i32)
      (local $got i32)
      (local.set $got (call $send (local.get $form) (local.get $at) (local.get $size)))
      (if (i32.eq (local.get $got) (i32.const -1)) (then (return (call $pass_on))))
      (local.set $got (call $read_all (local.get $got)))
      (if (i32.eq (local.get $got) (i32.const -1)) (then (return (call $pass_on))))
      (call $say (local.get $got)))
    ;; The same with GET of the case's server.
    (func $get (result i32) (call $fetch (i32.const 0) (i32.const 3328) (i32.const 40)))
    (data (i32.const 3328) "\82\a6method\a3GET\a3url\b7http://127.0.0.1:{{port}}/")
