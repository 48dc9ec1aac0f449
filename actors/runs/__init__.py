"""One run of a node and its life: requests, streams, jobs, background runs and the actor that does them."""
