"""Agents: model runs with tools and memory, and functions as agents."""
