;;@ after main
  {{modules}}

;;@ modules * 200
  (core module)
