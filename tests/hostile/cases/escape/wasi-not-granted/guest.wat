;;@ imports
{{wasi environment}}
