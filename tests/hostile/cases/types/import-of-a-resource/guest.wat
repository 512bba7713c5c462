;;@ abort
  (import "orchestrator:plugin/abort@1.0.0" (instance $abort
    (export "handle" (type (sub resource)))
    (export "is-aborted" (func (result bool)))))
