"""Fuzzing: what an enemy could write, made by the hundred thousand, and run in child processes."""
