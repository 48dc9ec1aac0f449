"""The commands. Those that belong together share a file."""
