"""Tests of actors.testing."""
