import pytest

from actors.config.condition import (
    AndCondition,
    CallableCondition,
    CostLimit,
    Elapsed,
    ExpressionCondition,
    MessageCount,
    NotCondition,
    OrCondition,
    TokenThreshold,
    WordMatch,
)
from tests.config.manifest_text import problem_of, read


def text(condition: str) -> str:
    connection = f"{{type: node, name: a, filter_condition: {condition}}}"
    return f"allow_imports: [pkg]\nagents: {{a: {{connections: [{connection}]}}}}"


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ("{type: word_match, words: [a], case_sensitive: true, mode: all}", WordMatch),
        ("{type: content, words: a}", WordMatch),
        ("{type: message_count, max_messages: 3, count_mode: per_agent}", MessageCount),
        ("{type: time, duration: 1m, name: minute}", Elapsed),
        ("{type: token_threshold, max_tokens: 5, count_type: prompt}", TokenThreshold),
        ("{type: cost_limit, max_cost: 0.5}", CostLimit),
        ("{type: cost, max_cost: 1}", CostLimit),
        ("{type: callable, predicate: 'pkg:f'}", CallableCondition),
        ("{type: expression, expression: message.tokens > 5}", ExpressionCondition),
        ("message.tokens > 5", ExpressionCondition),
        ("{type: and, conditions: [message.cost > 1, {type: word_match, words: [x]}]}", AndCondition),
        (
            "{type: or, conditions: [{type: and, conditions: [{type: not, condition: 'message.cost > 1'}]}]}",
            OrCondition,
        ),
        ("{type: not, condition: {type: cost, max_cost: 1}}", NotCondition),
    ],
)
def test_every_kind_of_condition_is_read(condition: str, kind: type) -> None:
    (connection,) = read(text(condition)).agents["a"].connections

    assert isinstance(connection.filter_condition, kind)


@pytest.mark.parametrize(
    ("condition", "path", "expected"),
    [
        ("{type: jinja2, template: 'True'}", ".type", "write 'type: expression'"),
        ("{type: word, words: [a]}", ".type", "unknown type 'word'; did you mean 'or' or 'word_match'"),
        ("{words: [a]}", ".type", "is required"),
        ("{type: word_match, words: []}", ".words", "must not be empty"),
        ("{type: word_match}", ".words", "is required"),
        ("{type: word_match, words: ['']}", ".words[0]", "must not be empty"),
        ("{type: message_count, max_messages: many}", ".max_messages", "expected a whole number"),
        ("{type: time, duration: 0}", ".duration", "must be greater than 0"),
        ("{type: cost, max_cost: -1}", ".max_cost", "must be at least 0"),
        ("{type: callable, predicate: 'os:abort'}", ".predicate", "is not allowed"),
        ("{type: and, conditions: []}", ".conditions", "must not be empty"),
        ("{type: and, conditions: [message.size > 1]}", ".conditions[0]", "'message' has no 'size'"),
        ("{type: not, condition: {type: or, conditions: [5]}}", ".condition.conditions[0]", "expected a map of keys"),
        ("{type: expression, expression: 'open(1)'}", ".expression", "calling 'open' is not allowed"),
        ("os.system", "", "unknown name 'os'"),
    ],
)
def test_a_wrong_condition_is_refused_with_its_place(condition: str, path: str, expected: str) -> None:
    problem = problem_of(text(condition))

    assert problem.path == f"agents.a.connections[0].filter_condition{path}"
    assert expected in problem.message


def test_conditions_nest_as_deep_as_the_file_may() -> None:
    condition = "{type: not, condition: " * 25 + "'message.cost > 1'" + "}" * 25

    (connection,) = read(text(condition)).agents["a"].connections

    assert isinstance(connection.filter_condition, NotCondition)
