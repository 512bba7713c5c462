;;@ generate
(loop $again (drop (call $new_stream (i32.const 1))) (br $again)) (unreachable)
