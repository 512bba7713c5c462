"""Keys and values of plugins: a store each, which is there again the next time."""
