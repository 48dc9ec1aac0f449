"""The offline model: extractive answers without a key and without a network."""
