"""Durable nodes: what they have accepted is in a journal until it is handled, whatever happens to the process."""
