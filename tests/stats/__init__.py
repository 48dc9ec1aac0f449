"""Tests of actors.stats."""
