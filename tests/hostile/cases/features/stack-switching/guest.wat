;;@ fields
    (type $f (func))
    (type $k (cont $f))
    (func (param (ref $f)) (drop (cont.new $k (local.get 0))))
