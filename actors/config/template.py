"""Texts with `{name}` places: for file names, file contents and prompts of triggers. No code, no Jinja."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from protocols.errors import nearest

_PLACE = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|(?P<stray>[{}])")
_JINJA = re.compile(r"\{\{\s*\w[\w. |()'\"]*\}\}|\{%")
_FLAT = re.compile(r"[^\w.\- ]|^\.+")


class TemplateError(ValueError):
    """Raised when a template names an unknown place or is malformed."""


def check_template(text: str, names: frozenset[str]) -> str:
    """Return a template that uses only known places.

    Args:
        text: Text with `{name}` places; `{{` and `}}` are the characters themselves.
        names: The known places.

    Raises:
        TemplateError: It does not.
    """
    if _JINJA.search(text):
        raise TemplateError(f"Jinja templates are not supported; write one of {_listed(names)}")
    for match in _PLACE.finditer(text):
        if match["stray"]:
            raise TemplateError(f"a single {match['stray']!r}; write it twice for the character itself")
        name = match["name"]
        if name is not None and name not in names:
            message = f"unknown place {{{name[:60]}}}{nearest(name, names)}; allowed are {_listed(names)}"
            raise TemplateError(message)
    return text


def render_template(text: str, values: Mapping[str, object]) -> str:
    """Fill the places of a template; values are inserted as they are and never looked into again."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0][0] if name is None else str(values.get(name, ""))

    return _PLACE.sub(fill, text)


def places(text: str) -> list[str]:
    """Return the names of the places of a template."""
    return [match["name"] for match in _PLACE.finditer(text) if match["name"] is not None]


def render_path_template(text: str, values: Mapping[str, object]) -> str:
    """Fill the places of a file name; characters of a value that could lead elsewhere become underscores."""
    return render_template(text, {name: _FLAT.sub("_", str(value)) for name, value in values.items()})


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


PATH_PLACES = frozenset({"date", "time", "agent"})
"""Places in the path of a file connection: today's date (2024-05-31), the time (14-05-09), the source's name."""
CONTENT_PLACES = frozenset({"content", "name", "role", "date", "time", "timestamp", "agent", "cost", "tokens"})
"""Places in what a file connection writes."""
PROMPT_PLACES = frozenset({"prompt", "name", "source", "timestamp", "metadata", "type"})
"""Places in the prompt of a trigger: `{prompt}` is the event's own text, `{name}` the trigger's name."""

TEXT_PLACE = "{text}"
"""Place in the prompt of a file trigger: what the files hold."""

_VALUE = re.compile(r"\{((?:metadata|payload)\[[^{}\[\]]+\])\}")


def check_session_template(text: str) -> str:
    """Return a template for the name of a session: places of a trigger, and single values as `{payload[user]}`."""
    return check_template(text, frozenset({"name", "source", "type", *_VALUE.findall(text)}))


SessionTemplate = Annotated[str, AfterValidator(check_session_template)]
"""A text with `{name}`, `{source}`, `{type}`, and `{metadata[key]}` or `{payload[key]}` for values of the event."""
PathTemplate = Annotated[str, AfterValidator(partial(check_template, names=PATH_PLACES))]
"""A file name with `PATH_PLACES`."""
ContentTemplate = Annotated[str, AfterValidator(partial(check_template, names=CONTENT_PLACES))]
"""A text with `CONTENT_PLACES`."""
PromptTemplate = Annotated[str, AfterValidator(partial(check_template, names=PROMPT_PLACES))]
"""A text with `PROMPT_PLACES`."""
FilePromptTemplate = Annotated[str, AfterValidator(partial(check_template, names=PROMPT_PLACES | {TEXT_PLACE[1:-1]}))]
"""A text with `PROMPT_PLACES` and `TEXT_PLACE`."""
