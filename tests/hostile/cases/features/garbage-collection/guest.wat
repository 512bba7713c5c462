;;@ fields
    (type $cell (struct (field (mut i64))))
    (func (result (ref $cell)) (struct.new_default $cell))
