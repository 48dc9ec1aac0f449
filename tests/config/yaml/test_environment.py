import pytest

from tests.config.manifest_text import problem_of, problems_of, read

ENV = {"NAME": "value", "EMPTY": "", "PORT": "8100", "KEY": "canary-9f", "LOOP": "${NAME}"}


def described(text: str) -> str | None:
    return read(f"agents: {{a: {{description: '{text}'}}}}", ENV).agents["a"].description


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME}", "value"),
        ("<${NAME}-${NAME}>", "<value-value>"),
        ("${MISSING:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${NAME:-fallback}", "value"),
        ("${MISSING:-}x", "x"),
        ("$${NAME}", "${NAME}"),
        ("$$", "$"),
        ("$NAME costs $5", "$NAME costs $5"),
        ("${LOOP}", "${NAME}"),
        ("${MISSING:-${EMPTY:-${NAME}}}!", "value!"),
        ("${NAME:-${MISSING}}", "value"),
        ('${MISSING:-{"a": {}}}', '{"a": {}}'),
        ("${MISSING:-a$$b}", "a$b"),
    ],
)
def test_references_are_replaced_once(text: str, expected: str) -> None:
    assert described(text) == expected


def test_numbers_and_flags_may_come_from_the_environment() -> None:
    agent = read(
        "agents: {a: {retries: '${N:-3}', debug: '${D:-yes}', timeout: '${T:-5s}', session: '${S:-100}'}}"
    ).agents["a"]

    assert (agent.retries, agent.debug, agent.timeout) == (3, True, 5.0)
    assert agent.session is not None
    assert agent.session.max_tokens == 100


def test_a_missing_variable_is_named_with_its_place() -> None:
    problem = problem_of("agents:\n  a:\n    description: ${NOPE}\n")

    assert (problem.line, problem.path) == (3, "agents.a.description")
    assert "'NOPE' is not set" in problem.message


def test_every_missing_variable_is_reported() -> None:
    assert len(problems_of("agents: {a: {description: '${ONE} ${TWO}', system_prompt: ['${THREE}']}}")) == 3


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${NAME", "${NAME-x}", "${A B}", "${A:-{}", "${A:-${B}"])
def test_a_malformed_reference_is_refused(text: str) -> None:
    assert "write '$${'" in problem_of(f"agents: {{a: {{description: '{text}'}}}}", ENV).message


def test_a_wrong_value_is_shown_as_written_and_never_as_it_is() -> None:
    text = "agents: {a: {retries: '${KEY}', tools: ['${KEY}'], output_type: '${KEY}'}}"

    found = "\n".join(str(problem) for problem in problems_of(text, ENV))

    assert found.count("${KEY}") == 3
    assert "canary" not in found


def test_a_map_that_is_used_twice_is_expanded_once() -> None:
    agents = read("agents: {a: &a {description: $$$$}, b: *a}", ENV)

    assert problem_of("agents: {a: &a {description: '${NOPE}'}, b: *a}").line == 1
    assert agents.agents["b"].description == "$$"


def test_a_short_value_is_not_taken_out_of_the_words_of_an_error() -> None:
    problem = problem_of("agents: {a: {retries: '${KEY}'}}", {"KEY": "x"})

    assert str(problem) == "m.yml:1: agents.a.retries: expected a whole number, got '${KEY}'"


def test_a_long_value_is_not_shown_in_part() -> None:
    secret = "canary" * 100
    text = "agents: {a: {tools: ['${KEY}'], output_type: '${KEY}', connections: [{type: '${KEY}'}]}}"

    found = "\n".join(str(problem) for problem in problems_of(text, {"KEY": secret}))

    assert found.count("${KEY}") == 3
    assert "canary" not in found
