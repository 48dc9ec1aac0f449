"""Tests of actors.pool."""
