;;@ imports
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance
    (export "resolve-address-stream" (type (sub resource)))))
