;;@ after main
  (core module $small (memory 1))
  {{instances}}

;;@ instances * 50
  (core instance (instantiate $small))
