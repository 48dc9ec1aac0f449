"""Tests of actors.config."""
