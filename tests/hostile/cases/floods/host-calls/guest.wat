;;@ generate
(loop $again (drop (call $is_aborted)) (br $again)) (unreachable)
