"""One suite per protocol, over all its implementations."""
