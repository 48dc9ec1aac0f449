"""Tests of actors.runtime."""
