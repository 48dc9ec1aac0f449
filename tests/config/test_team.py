import pytest

from tests.config.manifest_text import problem_of, problems_of, read

AGENTS = "agents: {a: {}, b: {}, c: {}}\n"


def test_every_key_of_a_team_is_read() -> None:
    team = read(
        AGENTS
        + """
teams:
  t:
    mode: sequential
    agents: [a, b]
    description: d
    shared_prompt: s
    picker: c
    num_picks: 1
    pick_prompt: who?
    validator: c
    result_mode: concat
    supervision:
      strategy: rest_for_one
      intensity: {limit: 5, period: 1m}
      backoff: {min: 100ms, max: 10, jitter: 0.1, reset_after: PT5S}
"""
    ).teams["t"]

    assert team.supervision is not None
    assert (team.members, team.validator, team.supervision.intensity.period) == (("a", "b"), "c", 60.0)
    assert (team.supervision.backoff.min, team.supervision.backoff.reset_after) == (0.1, 5.0)


@pytest.mark.parametrize(
    ("policy", "expected"), [("all", "all"), ("any", "any"), ("first", "first"), ("{quorum: 2}", 2)]
)
def test_a_policy_is_a_word_or_a_quorum(policy: str, expected: object) -> None:
    found = read(f"{AGENTS}teams: {{t: {{mode: parallel, members: [a, b], policy: {policy}}}}}").teams["t"].policy

    assert (found if isinstance(found, str) else getattr(found, "quorum", None)) == expected


@pytest.mark.parametrize(
    ("keys", "path", "expected"),
    [
        ("members: [a]", "mode", "is required"),
        ("mode: parallel", "members", "is required"),
        ("mode: parallel, members: []", "members", "must not be empty"),
        ("mode: parallel, members: a", "members", "expected a list"),
        ("mode: [parallel], members: [a]", "mode", "expected 'parallel' or 'sequential'"),
        ("mode: parallel, members: [a, x9]", "members[1]", "there is no agent or team 'x9'"),
        ("mode: parallel, members: [a, a]", "members", "'a' is listed 2 times"),
        ("mode: parallel, members: [a], picker: nobody", "picker", "there is no agent or team 'nobody'"),
        ("mode: parallel, members: [a], validator: b", "validator", "has no effect with 'mode: parallel'"),
        ("mode: sequential, members: [a], policy: all", "policy", "has no effect with 'mode: sequential'"),
        ("mode: parallel, members: [a], num_picks: 1", "num_picks", "has no effect without 'picker'"),
        ("mode: parallel, members: [a], picker: b, num_picks: 2", "num_picks", "is more than the 1 members"),
        ("mode: parallel, members: [a], policy: most", "policy", "expected 'all', 'any' or 'first'"),
        ("mode: parallel, members: [a], policy: {quorum: 2}", "policy", "the quorum is more than"),
        ("mode: parallel, members: [a], policy: {quorum: 0}", "policy.quorum", "must be at least 1"),
        ("mode: sequential, members: [a], result_mode: all", "result_mode", "expected 'last' or 'concat'"),
        (
            "mode: parallel, members: [a], supervision: {strategy: one}",
            "supervision.strategy",
            "expected 'one_for_one'",
        ),
        (
            "mode: parallel, members: [a], supervision: {backoff: {min: 9, max: 1}}",
            "supervision.backoff.min",
            "is larger",
        ),
        (
            "mode: parallel, members: [a], supervision: {intensity: {period: 0}}",
            "supervision.intensity.period",
            "greater",
        ),
    ],
)
def test_a_wrong_team_is_refused_with_its_place(keys: str, path: str, expected: str) -> None:
    problem = problem_of(f"{AGENTS}teams: {{t: {{{keys}}}}}")

    assert (problem.path, problem.line) == (f"teams.t.{path}", 2)
    assert expected in problem.message


def test_a_chain_may_use_a_member_twice() -> None:
    assert read(f"{AGENTS}teams: {{t: {{mode: sequential, members: [a, b, a]}}}}").teams["t"].members == ("a", "b", "a")


def test_teams_nest_in_any_order_and_are_built_inner_first() -> None:
    manifest = read(
        AGENTS
        + """
teams:
  outer: {mode: sequential, members: [a, middle]}
  middle: {mode: parallel, members: [inner, b], picker: chooser}
  chooser: {mode: sequential, members: [c]}
  inner: {mode: sequential, members: [c]}
"""
    )

    order = manifest.build_order
    assert sorted(order) == ["chooser", "inner", "middle", "outer"]
    assert order.index("inner") < order.index("middle") < order.index("outer")
    assert order.index("chooser") < order.index("middle")


def test_circles_of_teams_are_refused_with_the_chain_each_once() -> None:
    problems = problems_of(
        AGENTS
        + """
teams:
  x: {mode: parallel, members: [y]}
  y: {mode: parallel, members: [x, a]}
  self: {mode: sequential, members: [self]}
  fine: {mode: sequential, members: [x]}
"""
    )

    assert sorted(problem.message for problem in problems) == [
        "teams contain each other: 'self' -> 'self'",
        "teams contain each other: 'x' -> 'y' -> 'x'",
    ]


def test_a_thousand_nested_teams_are_no_problem() -> None:
    text = "agents: {a: {}}\nteams:\n  t0: {mode: parallel, members: [a]}\n"
    text += "".join(f"  t{n}: {{mode: parallel, members: [t{n - 1}]}}\n" for n in range(1, 1000))

    assert read(text).build_order[:2] == ("t0", "t1")
