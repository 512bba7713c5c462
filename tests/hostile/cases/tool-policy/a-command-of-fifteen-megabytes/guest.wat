;;@ execute
(unreachable)

;;@ is-allowed
(unreachable)
