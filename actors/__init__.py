"""Supervised multi-agent framework on the actor model."""
