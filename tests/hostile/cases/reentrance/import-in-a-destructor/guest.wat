;;@ destructor imports
    (import "clock" "sleep" (func $sleep (param i64)))

;;@ destructor arguments
(with "clock" (instance (export "sleep" (func $sleep))))

;;@ destructor
(call $sleep (i64.const 3600000))
