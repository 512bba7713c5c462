;;@ init
(loop $again (call $log) (br $again)) (unreachable)
