import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.expression import CONTEXT, Expression, ExpressionError

VALUES: dict[str, dict[str, object]] = {
    "message": {
        "content": "An urgent note",
        "name": "a",
        "tokens": 120,
        "cost": 0.5,
        "metadata": {"k": 5},
        "forwarded_from": ["x", "y"],
    },
    "stats": {"message_count": 3, "age": 60.0},
    "target": {"name": "b"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("message.tokens > 100", True),
        ("100 < message.tokens <= 120", True),
        ("'urgent' in message.content and message.cost < 1", True),
        ("'URGENT' in upper(message.content)", True),
        ("not startswith(lower(message.content), 'an')", False),
        ("message.name in ('a', 'b') or 1 / 0", True),
        ("message.name not in ['a', 'b']", False),
        ("message.metadata['k'] == 5", True),
        ("message.metadata['none'] is None", True),
        ("message.forwarded_from[0] == 'x' and message.forwarded_from[9] is None", True),
        ("message.role is None", True),
        ("source.name is None", True),
        ("len(message.forwarded_from) == 2 and words(message.content) == 3", True),
        ("(message.tokens * 2 - 40) / 2 == 100", True),
        ("message.tokens % 7 == 1 and message.tokens // 100 == 1", True),
        ("-stats.message_count < 0 and abs(-1) == min(1, 2) and max(1, 2) == 2", True),
        ("stats.age >= 60", True),
        ("message.name + '!' == 'a!'", True),
        ("message.content", True),
        ("''", False),
        ("True", True),
    ],
)
def test_expressions_are_evaluated(text: str, expected: bool) -> None:
    assert Expression(text).evaluate(VALUES) is expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "().__class__.__bases__[0].__subclasses__()",
        "message.__class__",
        "message.content.__class__",
        "message.content.format(1)",
        "'{0.__class__}'.format(1)",
        "f'{message.content}'",
        "open('/etc/passwd')",
        "eval('1')",
        "getattr(message, 'content')",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "{1: 2}",
        "{1, 2}",
        "(x := 1)",
        "2 ** 100",
        "1 << 100",
        "1 | 2",
        "~1",
        "1 if True else 2",
        "*message.forwarded_from",
        "len(message.content, 1)",
        "len(x=1)",
        "len(*message.forwarded_from)",
        "message",
        "stats",
        "message.unknown",
        "self.content",
        "message['content']",
        "message.metadata[message.name]",
        "message.content[0:2]",
        "b'x'",
        "1j",
        "...",
        "yield 1",
        "await x",
        "import os",
        "a = 1",
        "",
        " ",
        "1 +",
        "message.tokens > ",
        "\0",
        "(" * 500 + ")" * 500,
        "not " * 240 + "1",
        "-" * 990 + "1",
        "1" + " + 1" * 240,
        "'" + "x" * 300 + "'",
        "x" * 2000,
    ],
)
def test_what_is_not_on_the_list_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "message.tokens + message.name > 1",
        "message.name * 5 == 'x'",
        "'%s' % message.name == 'x'",
        "message.name > 5",
        "1 / 0",
        "message.tokens % 0 == 1",
        "lower(message.tokens) == 'x'",
        "len(message.tokens) == 1",
        "5 in message.content",
        "message.tokens[0] == 1",
        "message.role > 5",
        "-message.name",
        "True + 1 == 2",
        "9" * 900 + " + 1 > 1",
        "999999999999999 * 999999999999999 > 1",
        "1e308 * 10 > 1",
        "min('a', 'b') == 'a'",
    ],
)
def test_values_that_do_not_fit_are_an_error_that_names_the_expression(text: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be evaluated") as caught:
        Expression(text).evaluate(VALUES)

    assert text in str(caught.value)


def test_text_cannot_grow_without_bound() -> None:
    content = "x" * 6_000_000

    with pytest.raises(ExpressionError, match="too long"):
        Expression("message.content + message.content == ''").evaluate({"message": {"content": content}})


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ExpressionError, match="unknown name 'mesage' in an expression; did you mean 'message'"):
        Expression("mesage.tokens > 1")
    with pytest.raises(ExpressionError, match="'message' has no 'token'; did you mean 'tokens'"):
        Expression("message.token > 1")


class Odd:
    """A value of metadata whose operators fail."""

    def __bool__(self) -> bool:
        raise OSError


def nested(depth: int) -> list[object]:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("message.metadata['odd']", "cannot be evaluated"),
        ("message.metadata['deep'] == message.metadata['deeper']", "cannot be evaluated"),
        ("message.metadata['big'] * message.metadata['big'] > 1", "the number is too large"),
        (" and ".join(["'b' not in lower(message.content)"] * 25), "the texts that it looks at are too long"),
        ("message.content + message.content + message.content == ''", "the text grows too long"),
    ],
)
def test_what_a_message_holds_can_neither_break_out_nor_block(text: str, reason: str) -> None:
    metadata = {"odd": Odd(), "deep": nested(100_000), "deeper": nested(100_001), "big": 10**100_000}
    values: dict[str, dict[str, object]] = {"message": {"content": "a" * 5_000_000, "metadata": metadata}}

    with pytest.raises(ExpressionError, match=reason):
        Expression(text).evaluate(values)


@given(st.text(alphabet="message.tokensncontent()[]'\"<>=+-*/% 019,:{}not and or in len_", max_size=60))
def test_any_text_is_refused_or_evaluated_without_another_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        assert Expression(text).evaluate(VALUES) in (True, False)


_ATOMS = st.one_of(
    st.integers(-1000, 1000).map(repr),
    st.sampled_from([f"{name}.{item}" for name, items in CONTEXT.items() for item in sorted(items)]),
    st.sampled_from(["'a'", "''", "True", "None"]),
)
_TEXTS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "==", "and", "or", "in", "is"]), inner
        ).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(st.sampled_from(["len", "lower", "words", "abs"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        inner.map(lambda text: f"(not {text})"),
    ),
    max_leaves=8,
)


@given(_TEXTS)
def test_any_sound_expression_gives_a_truth_value_or_an_expression_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        assert isinstance(Expression(text).evaluate(VALUES), bool)
