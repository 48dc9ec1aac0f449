"""Tests of actors.nodes."""
