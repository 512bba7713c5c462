;;@ generate
(loop $for_ever
  (call $http_close (i32.const 7))
  (br $for_ever))
(unreachable)
