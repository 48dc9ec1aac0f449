"""User code that the type checkers read."""
