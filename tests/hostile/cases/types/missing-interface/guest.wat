;;@ exports
