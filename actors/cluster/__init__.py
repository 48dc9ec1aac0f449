"""A pool in several processes: each durable node is delivered to by one of them, the host that has its shard."""
