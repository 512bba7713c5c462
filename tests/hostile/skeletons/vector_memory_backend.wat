;; A vector memory backend.

;;@ upsert
(call $ok_unit)

;;@ query
(call $empty_list)

;;@ delete-by-ids
(call $ok_unit)

;;@ wipe-repo
(call $ok_unit)

;;@ backend info
(call $info)

;;@ functions
    (func (export "upsert") (param i32 i32 i32) (result i32) {{upsert}})
    (func (export "query") (param i32 i32 i32) (result i32) {{query}})
    (func (export "delete-by-ids") (param i32 i32 i32) (result i32) {{delete-by-ids}})
    (func (export "wipe-repo") (param i32 i32 i32) (result i32) {{wipe-repo}})
    (func (export "info") (result i32) {{backend info}})

;;@ lifts
  (func $upsert (param "call" $payload) (result (result (error $error)))
    (canon lift (core func $main "upsert") (memory $memory) (realloc (core func $libc "realloc"))))
  (func $query (param "call" $payload) (result (result $payload (error $error)))
    (canon lift (core func $main "query") (memory $memory) (realloc (core func $libc "realloc"))))
  (func $delete_by_ids (param "call" $payload) (result (result (error $error)))
    (canon lift (core func $main "delete-by-ids")
      (memory $memory) (realloc (core func $libc "realloc"))))
  (func $wipe_repo (param "call" $payload) (result (result (error $error)))
    (canon lift (core func $main "wipe-repo")
      (memory $memory) (realloc (core func $libc "realloc"))))
  (func $backend_info (result (result $payload (error $error)))
    (canon lift (core func $main "info") (memory $memory) (realloc (core func $libc "realloc"))))

;;@ exports
  (instance $vector_memory (export "upsert" (func $upsert)) (export "query" (func $query))
    (export "delete-by-ids" (func $delete_by_ids)) (export "wipe-repo" (func $wipe_repo))
    (export "info" (func $backend_info)))
  (export "orchestrator:plugin/vector-memory-backend@1.0.0" (instance $vector_memory))
