"""Test kit: probes, settle, manual clock and scripted models."""
