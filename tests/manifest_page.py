"""Writes docs/reference/manifest.md from the schema: ``python -m tests.manifest_page``."""

from __future__ import annotations

import inspect
import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from actors.config.section import field_texts
from tests.config.section_sites import SITES, sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference" / "manifest.md"
_EXAMPLES: Final = Path(__file__).parent / "config" / "key_examples.yml"
_NAMED: Final = ("AgentSpec", "TeamSpec", "JobSpec")
_KEY: Final = "its key"
_HEAD: Final = """# Keys of the manifest

What each part of a manifest may say; the [guide](../manifest.md) shows how they go together. `understage schema` writes
the same as JSON Schema for editors. This page is made from the code: `python -m tests.manifest_page`.

An example shows its key with what it does not go without.
"""


def page() -> str:
    """Return the page."""
    known = sections()
    return "\n".join([_HEAD, *(line for name in SITES for line in _section(name, known[name]))])


def _section(name: str, section: Any) -> Iterator[str]:
    yield f"## {name.removesuffix('Spec')}\n"
    if SITES[name].path:
        yield f"At `{_place(SITES[name].path)}`, for example.\n"
    yield _cell(inspect.getdoc(section) or "", "\n") + "\n"
    yield "| key | default | meaning | example |\n| --- | --- | --- | --- |"
    texts = field_texts(section)
    for key, info in section.model_fields.items():
        others = [other for other, own in section.spellings.items() if own == key]
        also = f" Also written {', '.join(f'`{other}`' for other in others)}." if others else ""
        shown = "<br>".join(f"`{text}`" for text in _shown(example(section, key)).values())
        default = _KEY if key == "name" and name in _NAMED else _default(info)
        yield f"| `{key}` | {default} | {_cell(texts[key])}{also} | {_cell(shown)} |"
    yield ""


def example(section: type[BaseModel], key: str) -> dict[str, str]:
    """Return the example of a key: the keys that it shows, and each with its value as it is written.

    Raises:
        KeyError: There is none.
    """
    for parent in section.__mro__:
        for keys in _examples().get(parent.__name__, ()):
            if key in _shown(keys):
                return keys
    raise KeyError(f"tests/config/key_examples.yml has no example of {section.__name__}.{key}")


@cache
def _examples() -> dict[str, list[dict[str, str]]]:
    text = _EXAMPLES.read_text(encoding="utf-8")
    tree = cast("yaml.MappingNode", yaml.compose(text, Loader=yaml.SafeLoader))
    return {
        name.value: [
            {key.value: text[key.start_mark.index : value.end_mark.index].rstrip() for key, value in keys.value}
            for keys in examples.value
        ]
        for name, examples in tree.value
    }


def _shown(keys: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in keys.items() if not text.endswith(": null")}


def _place(path: Sequence[str | int]) -> str:
    names = {"a": "NAME", "t": "NAME", "j": "NAME", "R": "NAME"}
    text = ""
    for key in path:
        text += "[]" if isinstance(key, int) else f".{names.get(key, key)}"
    return text.removeprefix(".")


def _default(info: Any) -> str:
    if info.default_factory is not None:
        return ""
    value = info.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value == ():
        return ""
    return f"`{value}`" if isinstance(value, BaseModel) else f"`{json.dumps(value)}`"


def _cell(text: str, join: str = " ") -> str:
    return text.replace("|", "\\|").replace("\n", join)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
