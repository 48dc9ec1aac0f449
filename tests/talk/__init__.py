"""Tests of actors.talk."""
