"""Prompts of agents and jobs: text, a file, or a function that makes the text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from actors.config.import_path import ImportText
from actors.config.section import Section
from actors.config.value import Text
from actors.config.yaml.tree import as_table


class PromptSpec(Section):
    """One prompt; exactly one of its keys is given, and a plain text stands for `text`."""

    shorthand = "text"

    text: str | None = None
    """The prompt itself."""
    file: Path | None = None
    """A text file that holds it, relative to the manifest."""
    callable: ImportText | None = None
    """Import string of a function without required arguments that returns it."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        given = [key for key in ("text", "file", "callable") if getattr(self, key) is not None]
        if len(given) != 1:
            yield given[1] if given else "text", "exactly one of 'text', 'file' and 'callable' is expected"


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str | PromptSpec) or as_table(value) is not None else value


Prompts = Annotated[
    tuple[PromptSpec, ...], BeforeValidator(_one_or_many, json_schema_input_type=Text | PromptSpec | list[PromptSpec])
]
"""Several prompts; a single one need not be a list."""
