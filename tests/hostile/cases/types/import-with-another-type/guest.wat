;;@ random
  (import "orchestrator:plugin/random@1.0.0" (instance $random
    (export "get-bytes" (func (param "length" u32) (result string)))))
