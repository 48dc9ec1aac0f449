"""Reading a manifest as YAML: safe, bounded, with positions."""
