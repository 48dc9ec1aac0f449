"""Tests of actors.supervision."""
