;;@ generate options
async

;;@ generate core
(param i32 i32 i32)

;;@ generate
(nop)
