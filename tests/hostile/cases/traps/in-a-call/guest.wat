;;@ generate
(i32.load offset=0xffffffff (i32.const -1))
