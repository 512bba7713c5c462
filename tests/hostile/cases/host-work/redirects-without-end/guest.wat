;;@ generate
(local $left i32)
(loop $again (drop (call $get)) (call $reset) (br $again))
(unreachable)
