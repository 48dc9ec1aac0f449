"""Benchmarks: one file per question, every contestant beside its baselines in a fresh process."""
