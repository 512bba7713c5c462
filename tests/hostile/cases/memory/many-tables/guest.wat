;;@ after main
  (core module $shelf {{tables}})
  (core instance (instantiate $shelf))
  (core instance (instantiate $shelf))

;;@ tables * 65
    (table 1 funcref)
