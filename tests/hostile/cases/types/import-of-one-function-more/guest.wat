;;@ log
  (import "orchestrator:plugin/log@1.0.0" (instance $log
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (export "flush" (func))
    (export "emit" (func (param "event" $payload)))))
