;;@ generate
(i32.const 262136)
