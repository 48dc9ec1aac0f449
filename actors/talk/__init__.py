"""Connections between nodes: conditions, transforms and queues."""
