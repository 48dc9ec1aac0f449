"""Values that are either a plain text or a map."""

from pydantic import BaseModel, Discriminator, Tag

TEXT = Tag("<text>")
"""Marks the type that reads anything but a map."""
MAP = Tag("<map>")
"""Marks the type that reads a map."""


def _shape(value: object) -> str:
    return "<map>" if isinstance(value, dict | BaseModel) else "<text>"


BY_SHAPE = Discriminator(_shape)
"""Chooses between the two, so that errors speak of the one that was meant."""
