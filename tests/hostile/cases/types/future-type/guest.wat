;;@ more exports
  (component $c (type $t (future u8)) (import "source" (func (result $t))))
