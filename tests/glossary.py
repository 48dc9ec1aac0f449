"""The glossary as data, and the rules that hold names and docstrings to it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.layout import Source

PAGE = Path(__file__).parent.parent / "docs" / "glossary.md"
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z0-9]*|[a-z0-9]+|[A-Z]+")
_ROW = re.compile(r"^\| (?!Term )([^|]+) \| ([^|]+) \|([^|]*)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Glossary:
    """Words that names may use, words that they may not, and words that docstrings may not."""

    allowed: frozenset[str]
    forbidden: frozenset[str]
    banned: tuple[str, ...]

    @classmethod
    def read(cls, page: str) -> Glossary:
        """Read the page of the glossary."""
        rows = _ROW.findall(page)
        terms = frozenset(word for term, _, _ in rows for word in term.split())
        _, _, rest = page.partition("## Words that names are made of")
        plain, _, banned = rest.partition("## Words that sentences do without")
        listed = frozenset(re.findall(r"`([a-z0-9]+)`", plain))
        forbidden = frozenset(word.strip() for _, _, words in rows for word in words.split(",") if word.strip())
        return cls(_with_plurals(terms | listed), forbidden - terms, tuple(re.findall(r"\*([a-z ]+)\*", banned)))

    def unknown(self, name: str) -> list[str]:
        """Return the words of a name that the glossary does not have."""
        return [word for word in words_of(name) if word not in self.allowed or word in self.forbidden]


def words_of(name: str) -> list[str]:
    """Return the words of a class name or file name, in lower case."""
    return [word.lower() for word in _WORD.findall(name.strip("_"))]


def names_outside(source: Source, glossary: Glossary) -> Iterator[str]:
    """Yield file and class names with words that are not in the glossary."""
    if not source.stem.startswith("__") and "/versions/" not in source.path:  # a migration is named by its number
        for word in glossary.unknown(source.stem):
            yield source.offence(1, f"file name {source.stem!r}: {word!r} is not a word of docs/glossary.md")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            for word in glossary.unknown(node.name):
                yield source.offence(node.lineno, f"class {node.name}: {word!r} is not a word of docs/glossary.md")


def banned_words(source: Source, glossary: Glossary) -> Iterator[str]:
    """Yield docstrings, attribute docstrings included, that use a word they should do without."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                for word in glossary.banned:
                    if re.search(rf"\b{word}\b", " ".join(text.split()), re.IGNORECASE):
                        yield source.offence(node.lineno, f"docstring says {word!r}")
            case _:
                pass


def _with_plurals(words: frozenset[str]) -> frozenset[str]:
    return (
        words | {f"{word}s" for word in words} | {f"{word.removesuffix('y')}ies" for word in words if word[-1] == "y"}
    )
