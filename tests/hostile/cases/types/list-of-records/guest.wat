;;@ generate type
(param "call" $payload) (result (list (tuple bool u8 u8 u8 u8 u8 u8 u8)))
