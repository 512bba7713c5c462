;;@ after main
  (component $outer
    (component $inner
      (core module $hoard (memory 900))
      (core instance (instantiate $hoard)))
    (instance (instantiate $inner))
    (instance (instantiate $inner)))
  (instance (instantiate $outer))
