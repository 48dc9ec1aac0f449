"""How much a manifest may ask of the reader."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """Bounds that keep a hostile or broken file from exhausting memory, stack or time."""

    bytes: int = 1_000_000
    """Size of one file."""
    depth: int = 64
    """Maps and lists inside each other, aliases followed."""
    values: int = 500_000
    """Values in one file after every alias is written out: the defence against alias bombs."""
    aliases: int = 10_000
    """Aliases (`*name`) in one file."""
    files: int = 64
    """Files that one manifest may read through `INHERIT`."""


DEFAULT_LIMITS = SourceLimits()
"""What `load_manifest` uses unless told otherwise."""
