"""Tests of actors.web."""
