;;@ imports
  (import "orchestrator:plugin/log@2.0.0" (instance (export "emit" (func (param "event" string)))))
