"""Queryable history and durable mailboxes."""
