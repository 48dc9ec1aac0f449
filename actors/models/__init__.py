"""Models: from a name to a model of pydantic_ai, and the offline model."""
