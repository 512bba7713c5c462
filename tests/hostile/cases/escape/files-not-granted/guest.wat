;;@ imports
{{wasi files}}
