"""The running system built from a manifest."""
