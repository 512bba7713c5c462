;;@ after main
  (core module $hoard (memory 150) (memory 150) (memory 150))
  (core instance (instantiate $hoard))
