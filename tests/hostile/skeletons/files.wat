;; The interface `files`. Of cases that have it among their `imports`.

;;@ files import
  (import "orchestrator:plugin/files@1.0.0" (instance $files
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (alias outer 1 $error (type $e)) (export "error" (type $error (eq $e)))
    (export "read" (func (param "path" string) (param "offset" u64) (param "length" u32)
      (result (result $payload (error $error)))))
    (export "write" (func (param "path" string) (param "offset" u64) (param "data" $payload)
      (result (result (error $error)))))
    (export "resize" (func (param "path" string) (param "size" u64)
      (result (result (error $error)))))
    (export "sync" (func (param "path" string) (result (result (error $error)))))
    (export "list-folder" (func (param "path" string) (result (result $payload (error $error)))))
    (export "make-folder" (func (param "path" string) (result (result (error $error)))))
    (export "remove" (func (param "path" string) (result (result (error $error)))))
    (export "rename" (func (param "source" string) (param "target" string)
      (result (result (error $error)))))))

;;@ files lowered
  (core func $files_read (canon lower (func $files "read") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_write (canon lower (func $files "write") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_resize (canon lower (func $files "resize") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_sync (canon lower (func $files "sync") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_list (canon lower (func $files "list-folder") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_folder (canon lower (func $files "make-folder") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_remove (canon lower (func $files "remove") (memory $memory)
    (realloc (core func $libc "realloc"))))
  (core func $files_rename (canon lower (func $files "rename") (memory $memory)
    (realloc (core func $libc "realloc"))))

;;@ files functions
(export "files-read" (func $files_read)) (export "files-write" (func $files_write))
(export "files-resize" (func $files_resize)) (export "files-sync" (func $files_sync))
(export "files-list" (func $files_list)) (export "files-folder" (func $files_folder))
(export "files-remove" (func $files_remove)) (export "files-rename" (func $files_rename))

;;@ files helper imports
    (import "host" "files-read" (func $files_read (param i32 i32 i64 i32 i32)))
    (import "host" "files-write" (func $files_write (param i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "files-resize" (func $files_resize (param i32 i32 i64 i32)))
    (import "host" "files-sync" (func $files_sync (param i32 i32 i32)))
    (import "host" "files-list" (func $files_list (param i32 i32 i32)))
    (import "host" "files-folder" (func $files_folder (param i32 i32 i32)))
    (import "host" "files-remove" (func $files_remove (param i32 i32 i32)))
    (import "host" "files-rename" (func $files_rename (param i32 i32 i32 i32 i32)))

;;@ files helpers
    ;; Each of these gives whether there was an error, which then lies at 1280.
    (func $failed (result i32) (i32.load8_u (i32.const 1280)))
    ;; Writes so many bytes, of what lies at 0, into a file.
    (func $write (param $path i32) (param $length i32) (param $size i32) (result i32)
      (call $files_write (local.get $path) (local.get $length) (i64.const 0)
        (i32.const 0) (i32.const 0) (local.get $size) (i32.const 1280))
      (call $failed))
    (func $resize (param $path i32) (param $length i32) (param $size i64) (result i32)
      (call $files_resize (local.get $path) (local.get $length) (local.get $size)
        (i32.const 1280))
      (call $failed))
    (func $make_folder (param $path i32) (param $length i32) (result i32)
      (call $files_folder (local.get $path) (local.get $length) (i32.const 1280))
      (call $failed))
    (func $rename (param $from i32) (param $length i32) (param $to i32) (param $to_length i32)
      (result i32)
      (call $files_rename (local.get $from) (local.get $length) (local.get $to)
        (local.get $to_length) (i32.const 1280))
      (call $failed))
    ;; Writes a number in decimal, so many digits of it.
    (func $digits (param $at i32) (param $count i32) (param $value i32)
      (loop $next
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (i32.store8 (i32.add (local.get $at) (local.get $count))
          (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
        (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
        (br_if $next (local.get $count))))
