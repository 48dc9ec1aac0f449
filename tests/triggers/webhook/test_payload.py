from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.triggers.webhook.payload import MOST_NESTED, PayloadError, PayloadTypeError, read_json, read_payload

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)

HOSTILE = {
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "one level too deep": b"[" * (MOST_NESTED + 1) + b"]" * (MOST_NESTED + 1),
    "deep map": b'{"a":' * (MOST_NESTED + 1) + b"1" + b"}" * (MOST_NESTED + 1),
    "deep mixture": b'[{"a":' * 40 + b"1" + b"}]" * 40,
    "unclosed": b"[" * 1_000,
    "not a number": b"NaN",
    "infinity": b'{"a": Infinity}',
    "huge integer": b"1" * 5_000,
    "huge float": b"1e999",
    "lone surrogate": b'"\\ud800"',
    "wrong UTF-8": b'"\xff\xfe"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "two documents": b"{}{}",
    "comment": b"{} // x",
    "unclosed string": b'"' + b"[" * 1_000,
    "nul": b"\x00",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        read_json(body)

    assert len(str(caught.value)) < 100


def test_as_many_levels_as_are_allowed_are_read() -> None:
    assert read_json(b"[" * MOST_NESTED + b"]" * MOST_NESTED) is not None
    assert read_json(b'["' + b"[" * 1_000 + b'\\"[[["]') == ["[" * 1_000 + '"[[[']


@given(JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert read_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.binary(max_size=100), st.sampled_from(["", "application/json", "text/plain", "image/png", "a/b+json; x=y"]))
def test_no_body_breaks_the_reading(body: bytes, content_type: str) -> None:
    try:
        read_payload(body, content_type)
    except PayloadError:
        return


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'{"a": 1}', "Application/JSON; charset=utf-8", {"a": 1}),
        (b"[1]", "application/cloudevents+json", [1]),
        (b"[1]", "", [1]),
        (b"", "", None),
        (b"", "application/json", None),
        ("grüße".encode(), "text/plain; charset=utf-8", "grüße"),
        (b"", "text/plain", ""),
        (b'\xef\xbb\xbf{"a": 1}', "application/json", {"a": 1}),
        (b"\xef\xbb\xbfhello", "text/plain", "hello"),
        ("grüße".encode("latin-1"), "text/plain; format=flowed; Charset='ISO-8859-1'", "grüße"),
        ("grüße".encode("utf-16"), 'text/plain; charset="utf-16"', "grüße"),
        ('{"a": "ü"}'.encode("latin-1"), "application/json; charset=latin1", {"a": "ü"}),
    ],
)
def test_the_type_decides_how_a_body_is_read(body: bytes, content_type: str, payload: object) -> None:
    assert read_payload(body, content_type) == payload


@pytest.mark.parametrize("content_type", ["image/png", "application/x-www-form-urlencoded", "multipart/form-data", "x"])
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(PayloadTypeError):
        read_payload(b"x", content_type)


@pytest.mark.parametrize(
    "charset", ["punycode", "PunyCode", "idna", "unicode_escape", "zip", "rot13", "base64", "x" * 9_000, "\0"]
)
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_charsets_that_are_slow_unknown_or_not_for_text_are_refused(kind: str, charset: str) -> None:
    with pytest.raises(PayloadTypeError, match="send UTF-8") as caught:
        read_payload(b"x", f'{kind}; charset="{charset}"')

    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(("body", "charset"), [(b"\xff", "utf-8"), (b"\x81", "cp1252"), (b"+2AA-", "utf-7")])
def test_a_body_of_another_charset_than_it_says_is_refused(body: bytes, charset: str) -> None:
    with pytest.raises(PayloadError, match="no valid"):
        read_payload(body, f"text/plain; charset={charset}")
