"""Webhooks: HTTP requests that start runs."""
