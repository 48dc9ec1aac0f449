"""Tests of actors.triggers."""
