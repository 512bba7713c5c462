;;@ imports
  (import "wasi:http/outgoing-handler@0.2.0" (instance
    (export "outgoing-request" (type (sub resource)))))
