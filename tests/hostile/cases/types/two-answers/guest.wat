;;@ generate type
(param "call" $payload) (result (tuple (result $payload (error $error)) u64))
