;;@ generate
(loop $again (call $log) (br $again)) (unreachable)
