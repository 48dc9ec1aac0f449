"""Statistics: totals of events and of messages, and the actor that folds events into them."""
