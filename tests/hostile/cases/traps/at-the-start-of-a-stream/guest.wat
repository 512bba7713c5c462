;;@ generate-stream
(unreachable)
