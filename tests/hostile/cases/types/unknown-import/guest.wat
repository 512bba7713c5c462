;;@ imports
  (import "evil:kernel/syscalls@1.0.0" (instance (export "syscall" (func (param "n" u32) (result u32)))))
