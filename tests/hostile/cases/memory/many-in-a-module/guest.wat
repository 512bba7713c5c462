;;@ after main
  (core module $hoard (memory 500) (memory 500) (memory 500) (memory 500) (memory 500)
    (memory 500) (memory 500) (memory 500) (memory 500))
  (core instance (instantiate $hoard))
