;;@ fields
    (table $growing 1 funcref)

;;@ generate
(loop $more (br_if $more
  (i32.ne (i32.const -1) (table.grow $growing (ref.null func) (i32.const 1)))))
(call $say (table.size $growing))
