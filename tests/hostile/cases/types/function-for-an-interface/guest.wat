;;@ exports
  (export "orchestrator:plugin/embedder@1.0.0" (func $dims))
