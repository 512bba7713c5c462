;;@ imports
  (import "execve" (func (param "path" string)))
