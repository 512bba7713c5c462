;;@ generate
(loop $for_ever
  (call $http_read (i32.const 7) (i32.const 1) (i32.const 1280))
  (br $for_ever))
(unreachable)
