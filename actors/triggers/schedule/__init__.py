"""Schedules: times that start runs."""
