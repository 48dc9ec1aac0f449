"""Tests of actors.storage."""
