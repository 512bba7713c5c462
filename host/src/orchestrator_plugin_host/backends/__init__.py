"""What makes an admitted plugin callable: natively, or in the sandbox. Both speak SDK values."""
