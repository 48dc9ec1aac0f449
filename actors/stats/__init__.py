"""Statistics: counters and the actors that fold events into them."""
