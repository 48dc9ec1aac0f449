"""Tests of actors.telemetry."""
