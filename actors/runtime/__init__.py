"""The actor engine: actors, mailboxes, refs and the system they live in."""
