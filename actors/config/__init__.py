"""The YAML manifest as pure data."""
