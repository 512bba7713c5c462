;;@ generate type
(param "call" $payload) (result (result $payload (error string)))
