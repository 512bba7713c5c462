;;@ exports
  (instance $tool_executor (export "is-allowed" (func $is_allowed)))
  (export "orchestrator:plugin/tool-executor@1.0.0" (instance $tool_executor))
