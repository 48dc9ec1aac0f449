"""Fill a JSON schema with sentences, so that the offline model can answer with structured output.

Texts are sentences of the sources, chosen by the name and the description of their field, each used once. An
enumeration has the value that the question mentions, else its first one. Numbers are the value nearest to 0 within
their bounds. Lists have as many items as they must, and up to three if their items are texts. The result is the same
every time. A text has its ``pattern`` only if a sentence matches.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from actors.models.offline.briefing import finished
from actors.models.offline.ranking import choose, words
from actors.models.offline.sentences import PromptText
from actors.models.offline.topics import topics_in

_FORMATS: Mapping[str, str] = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "nobody@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "binary": "",
}
_MAX_DEPTH = 12
_LIST_ITEMS = 3
_NO_TEXT = "no text"

Schema = Mapping[str, Any]


class SchemaFiller:
    """One filling of one schema from one reading."""

    def __init__(self, schema: Schema, reading: PromptText, instructions: str = "") -> None:
        self._schema = schema
        self._left = list(reading.sentences)
        self._all = list(reading.sentences)
        self._asked = f"{reading.question}\n{instructions}"

    def fill(self) -> Any:
        """Return a value that the schema accepts."""
        return self._value(self._schema, "", 0)

    def _value(self, schema: Any, hint: str, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return self._text({}, hint)
        schema = self._resolved(cast("Schema", schema))
        hint = f"{hint} {schema.get('title', '')} {schema.get('description', '')}"
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._mentioned(schema["enum"], hint)
        variants = schema.get("anyOf") or schema.get("oneOf")
        if variants:
            return self._value(self._variant(variants, schema, depth), hint, depth + 1)
        return self._typed(schema, hint, depth)

    def _typed(self, schema: Schema, hint: str, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in cast("list[str]", kind) if one != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, hint, depth)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return False
            case "null":
                return None
            case _:
                return self._object(schema, depth) if "properties" in schema else self._text(schema, hint)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = set(schema.get("required", ()))
        required |= {key for key, value in properties.items() if isinstance(value, Mapping) and "const" in value}
        return {
            key: self._value(value, re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", key), depth + 1)
            for key, value in properties.items()
            if key in required or (depth < _MAX_DEPTH // 4 and "default" not in value)
        }

    def _array(self, schema: Schema, hint: str, depth: int) -> list[Any]:
        fixed: Sequence[Any] = schema.get("prefixItems", ())
        items: Any = schema.get("items", {})
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(_LIST_ITEMS, least)))
        values = [self._value(one, hint, depth + 1) for one in fixed]
        if isinstance(items, Mapping) and self._is_free_text(cast("Schema", items)):
            values += self._points(hint, max(least, min(most, _LIST_ITEMS)) - len(values))
        elif items and not fixed and most and depth < _MAX_DEPTH:
            values.append(self._value(items, hint, depth + 1))
        if schema.get("uniqueItems"):
            values = [value for place, value in enumerate(values) if value not in values[:place]]
        return values + [self._value(items, hint, depth + 1) for _ in range(least - len(values))]

    def _is_free_text(self, items: Schema) -> bool:
        items = self._resolved(items)
        return items.get("type") == "string" and not items.keys() & {"enum", "const", "format", "pattern", "maxLength"}

    def _points(self, hint: str, number: int) -> list[str]:
        asked = words(f"{hint}\n{self._asked}")
        found = choose(self._all, number, question=asked, topics=topics_in(hint)) if number > 0 else []
        return [finished(one.text) for one in found]

    def _text(self, schema: Schema, hint: str) -> str:
        example = _FORMATS.get(schema.get("format", ""))
        if example is not None:
            return example
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        text = self._sentence(hint, schema.get("pattern"))
        if most is not None and len(text) > most:
            cut = text[:most].rsplit(" ", 1)[0]
            text = cut if len(cut) >= least else text[:most]
        return text.ljust(least, ".")

    def _sentence(self, hint: str, pattern: str | None) -> str:
        candidates = [one for one in self._left if pattern is None or re.search(pattern, one.text)]
        asked = f"{hint}\n{self._asked}"
        found = choose(candidates or self._all, 1, question=words(asked), topics=topics_in(hint) or topics_in(asked))
        if not found:
            return self._asked.strip().split("\n", 1)[0] or _NO_TEXT
        if found[0] in self._left:
            self._left.remove(found[0])
        return finished(found[0].text)

    def _mentioned(self, values: Sequence[Any], hint: str) -> Any:
        for text in (self._asked.casefold(), hint.casefold(), " ".join(one.text for one in self._all).casefold()):
            found = [(text.find(str(value).casefold()), place) for place, value in enumerate(values)]
            named = [pair for pair in found if pair[0] >= 0 and values[pair[1]] not in ("", None)]
            if named:
                return values[min(named)[1]]
        return values[0]

    def _variant(self, variants: Sequence[Any], parent: Schema, depth: int) -> Any:
        resolved: list[Any] = [
            self._resolved(cast("Schema", one)) if isinstance(one, Mapping) else one for one in variants
        ]
        filled: list[Any] = [
            one for one in resolved if not isinstance(one, Mapping) or cast("Schema", one).get("type") != "null"
        ]
        if depth >= _MAX_DEPTH and len(filled) < len(resolved):
            return {"type": "null"}
        first: Any = filled[0] if filled else {"type": "null"}
        tag: Any = parent.get("discriminator", {}).get("propertyName")
        if tag and isinstance(first, Mapping):
            schema = cast("dict[str, Any]", first)
            return {**schema, "required": [*schema.get("required", ()), tag]}
        return first

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(_MAX_DEPTH):
            if "$ref" not in schema:
                break
            target: Any = self._schema
            for step in str(schema["$ref"]).removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/").replace("~0", "~")]
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema


def _number(schema: Schema, *, whole: bool) -> float:
    step = schema.get("multipleOf", 1 if whole else 0)
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None and (low is None or above >= low):
        low = above + (step or _between(above, high if high is not None else below))
    if below is not None and (high is None or below <= high):
        high = below - (step or _between(low, below))
    value = 0 if low is None or low <= 0 else low
    if step and value % step:
        value = (value // step + 1) * step
    if high is not None and value > high:
        value = high // step * step if step else high
    return int(value) if whole else float(value)


def _between(low: float | None, high: float | None) -> float:
    return abs(high - low) / 2 if low is not None and high is not None else 1.0
