;;@ fields * 60
    (func (param i32)
      (block $a (block $b (block $c
        (br_table {{targets}} $c (local.get 0))))))

;;@ targets * 3000
 $a $b $c $b $a
