"""One hardened HTTP server and its middleware."""
