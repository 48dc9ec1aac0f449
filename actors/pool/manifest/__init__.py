"""From a manifest to the nodes and connections of a pool."""
