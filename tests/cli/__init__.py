"""Tests of actors.cli."""
