;;@ generate
(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
(memory.fill (i32.const 65536) (i32.const 1) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
(unreachable)
