"""From the agents of a manifest to `Agent`."""
