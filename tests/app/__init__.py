"""Tests of actors.app."""
