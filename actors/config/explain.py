"""From pydantic's errors to problems that a person can act on."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from actors.config.read_context import ReadContext
from actors.config.yaml.locate import Source, locate, paths_of
from actors.config.yaml.problem import CONTAINERS, InvalidManifestError, Problem
from actors.config.yaml.tree import Key, Table, table_at
from protocols.errors import ConfigError, ManifestError, UnderstageError, nearest

_EXPECTED = {
    "missing": "is required",
    "string_type": "expected text (put quotes around a number)",
    **dict.fromkeys(("bool_type", "bool_parsing"), "expected true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "expected a whole number"),
    "int_parsing_size": "expected a smaller number",
    **dict.fromkeys(("float_type", "float_parsing"), "expected a number"),
    "finite_number": "expected a finite number",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "expected a map of keys"),
    **dict.fromkeys(("tuple_type", "list_type"), "expected a list"),
    **dict.fromkeys(("string_too_short", "too_short"), "must not be empty"),
    "recursion_loop": "stands inside itself",
    "path_type": "expected the path of a file",
    "none_required": "expected nothing",
    "string_pattern_mismatch": "expected letters, digits, '_' and '-', at most 64, and no digit first",
}
_MOMENT = "expected a date and time with its zone, as in 2024-05-31T14:00:00Z"
_LIMITS = {
    "greater_than": ("gt", "must be greater than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "string_too_long": ("max_length", "must have at most {} characters"),
}
_SAYS_KIND = ("expected ", "must ")
_LONGEST = 60
_QUOTED = (300, 200, 100, 60)
"""Lengths to which texts of errors shorten what they quote."""
_SECRET = 4
"""Characters from which a value is taken out wherever it stands; a shorter one may be part of any word."""
_REPLACED = {
    "jinja2": "conditions of type 'jinja2' are not supported, since a template can run code; write 'type: expression', "
    "as in {type: expression, expression: \"'urgent' in message.content\"}"
}


def explain(error: ValidationError, tree: Table) -> Iterator[Problem]:
    """Yield one problem for each error of pydantic."""
    errors = error.errors(include_url=False, include_input=False)
    places = {details["loc"][:length] for details in errors for length in range(len(details["loc"]))}
    for details in errors:
        kind, keys = details["type"], details["loc"]
        context: Mapping[str, Any] = details.get("ctx", {})
        if kind == "complaints":
            for key, text in context["items"]:
                yield problem_at(tree, (*keys, key), text)
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            yield _tag_problem(tree, (*keys, "type"), context)
        elif kind != "too_short" or keys not in places:  # pydantic does not count entries that are wrong themselves
            yield problem_at(tree, keys, _text(kind, context, details["msg"]))


def explain_unknown(reading: ReadContext, tree: Table) -> Iterator[Problem]:
    """Yield one problem for each key that nothing knows."""
    paths = paths_of(tree) if reading.unknown else {}
    for table, key, text in reading.unknown:
        path = locate(tree, (*paths.get(id(table), ()), key)).path
        yield Problem(text, table.key_mark(key), path)


def problem_at(tree: Table, keys: tuple[Key, ...], text: str) -> Problem:
    """Return what is wrong with the value that a key path leads to."""
    place = locate(tree, keys)
    if place.hidden is not None:
        text = _without(text, *place.hidden)
    value = None if place.value in CONTAINERS and not text.startswith(_SAYS_KIND) else place.value
    return Problem(text, place.mark, place.path, value)


def problem_of(error: UnderstageError, source: Source) -> Problem:
    """Return an error about a node of a manifest as a problem, at the import string that it quotes or at the node."""
    text, node = str(error), error.node or ""
    named = (("agents", node), ("teams", node), ("jobs", node.removeprefix("job ")))
    keys: tuple[Key, ...] = next((pair for pair in named if pair[1] in table_at(source.tree, pair[0])), ())
    places = (place for place, string in source.named(*map(str, keys)) if repr(string) in text)
    return problem_at(source.tree, next(places, keys), text)


@contextmanager
def placed(source: Source) -> Generator[None]:
    """Say the file, line and key of what cannot be used in a manifest.

    Raises:
        InvalidManifestError: In place of each `ConfigError`.
    """
    try:
        yield
    except ManifestError:
        raise
    except ConfigError as error:
        found = InvalidManifestError([problem_of(error, source)])
        found.node = error.node
        raise found from error


def _without(text: str, value: str, written: str) -> str:
    """Take the value of an environment variable out of a text, also where it is quoted in part."""
    for length in (len(value), *_QUOTED):
        text = text.replace(repr(value[:length]), repr(written))
    return text.replace(value, written) if len(value) >= _SECRET else text


def _text(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind.startswith(("datetime_", "timezone_")):
        return _MOMENT
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        limit = context[name]
        return text.format(f"{limit:g}" if isinstance(limit, float) else limit)
    if kind == "literal_error":
        return f"expected {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return message if kind == "complaint" else message[:1].lower() + message[1:]


def _tag_problem(tree: Table, keys: tuple[Key, ...], context: Mapping[str, Any]) -> Problem:
    if "tag" not in context:
        return problem_at(tree, keys, "is required")
    tag, expected = str(context["tag"]), str(context["expected_tags"])
    known = [item.strip().strip("'") for item in expected.split(",")]
    if locate(tree, keys).value in CONTAINERS:
        return problem_at(tree, keys, f"expected one of {expected}")
    return problem_at(tree, keys, _REPLACED.get(tag) or f"unknown type {tag[:_LONGEST]!r}{nearest(tag, known)}")
