;;@ imports
  (import "wasi:cli/environment@0.3.0" (instance (export "get-environment" (func (result string)))))
