;;@ imports
  (import "host-code" (core module $m (export "run" (func))))
