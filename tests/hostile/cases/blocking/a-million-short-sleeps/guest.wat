;;@ generate
(loop $again (call $sleep (i64.const 0)) (br $again)) (unreachable)
