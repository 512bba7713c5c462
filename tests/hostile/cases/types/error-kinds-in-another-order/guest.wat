;;@ error kinds
"unauthenticated" "invalid-request" "permission-denied" "not-found" "rate-limited" "unavailable"
"timeout" "aborted" "unsupported" "out-of-memory" "internal"
