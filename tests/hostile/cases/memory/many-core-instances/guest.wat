;;@ after main
  (core module $empty)
  {{instances}}

;;@ instances * 300
  (core instance (instantiate $empty))
