;;@ more exports
  (component $c (type $t (stream u8)) (import "source" (func (result $t))))
