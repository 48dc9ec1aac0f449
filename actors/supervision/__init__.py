"""Supervision: which children restart, when, and how often before a supervisor gives up.

`option`, `strategies`, `intensity`, `backoff` and `child` are pure: they use no clock, no ref and no event loop.
"""
