"""Where durable nodes keep what they have accepted, and which nodes are durable."""

from pathlib import Path
from typing import Any

import pytest

from actors.config.journal import JournalSpec
from actors.config.load import manifest_of
from protocols.errors import ConfigError, ManifestError
from tests.config.manifest_text import problem_of, read

URL = "postgresql://u:hidden@h/d"


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("true", {}),
        ("{}", {}),
        ("false", {"enabled": False}),
        ("state/orders.journal", {"path": "state/orders.journal"}),
        (f"'{URL}'", {"url": URL}),
        (f"{{url: '{URL}', keep: 2d, deliveries: 3}}", {"url": URL, "keep": 172_800, "deliveries": 3}),
        (
            "{path: x, sync: full, reserve: 512KiB, max_size: 2 GiB}",
            {"path": "x", "sync": "full", "reserve": 512 * 1024, "max_size": 2 * 1024**3},
        ),
        ("{reserve: 0, max_size: 1048576}", {"reserve": 0, "max_size": 1024**2}),
    ],
)
def test_the_forms_of_the_journal_are_read(text: str, given: dict[str, Any]) -> None:
    assert read(f"journal: {text}").journal == JournalSpec(**given)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (f"{{url: '{URL}', path: x}}", ".path", "does not go with 'url'"),
        (f"{{url: '{URL}', sync: full}}", ".sync", "has no effect with 'url'"),
        (f"{{url: '{URL}', max_size: 5GiB}}", ".max_size", "has no effect with 'url'"),
        ("{url: 'mysql://u:hidden@h/d?sslpassword=hidden'}", ".url", "expected postgresql://"),
        ("'mysql://u:hid@hidden/@h/d?x=1&password=hidden&y=2'", "", "expected postgresql://"),
        ("{path: ''}", ".path", "must not be empty"),
        ("{sync: fast}", ".sync", "expected 'process' or 'full'"),
        ("{keep: 0}", ".keep", "must be greater than 0"),
        ("{keep: never}", ".keep", "expected a time"),
        ("{deliveries: 0}", ".deliveries", "must be at least 1"),
        ("{reserve: -1}", ".reserve", "must be at least 0"),
        ("{reserve: lots}", ".reserve", "expected a size"),
        ("{reserve: true}", ".reserve", "expected a size"),
        ("{reserve: 1.5}", ".reserve", "expected a size"),
        ("{reserve: 999999999999TiB}", ".reserve", "must be at most"),
        ("{max_size: 1KiB}", ".max_size", "must be at least 1048576"),
        ("{size: 1GiB}", ".size", "unknown key 'size'"),
        ("5", "", "expected a map of keys"),
    ],
)
def test_a_wrong_journal_is_refused_with_its_place(text: str, path: str, expected: str) -> None:
    problem = problem_of(f"journal: {text}")

    assert (problem.path, expected in problem.message) == (f"journal{path}", True)
    assert "hidden" not in str(problem)


@pytest.mark.parametrize(
    ("nodes", "has_journal"),
    [
        ("agents: {a: {}}", False),
        ("agents: {a: {durable: true}}", True),
        ("agents: {a: {durable: {retries: 1}}}", True),
        ("agents: {a: {durable: false}}\ndefaults: {durable: true}", False),
        ("agents: {a: {}}\ndefaults: {durable: true}", True),
        ("agents: {a: {}}\nteams: {t: {mode: parallel, members: [a], durable: true}}", True),
        ("agents: {a: {}}\njournal: true", True),
        ("agents: {a: {}}\njournal: false", False),
    ],
)
def test_a_durable_node_needs_no_journal_of_its_own(nodes: str, *, has_journal: bool) -> None:
    assert (read(nodes).effective_journal == JournalSpec()) is has_journal


@pytest.mark.parametrize(
    ("text", "path", "line", "expected"),
    [
        ("agents:\n  a: {durable: {backoff: 5s}}", "agents.a.durable.backoff", 2, "has no effect without 'retries'"),
        ("agents:\n  a: {durable: {order: any}}", "agents.a.durable.order", 2, "expected 'loose' or 'strict'"),
        ("agents:\n  a: {durable: {retries: -1}}", "agents.a.durable.retries", 2, "must be at least 0"),
        ("agents:\n  a: {durable: {expires: 0}}", "agents.a.durable.expires", 2, "must be greater than 0"),
        ("agents:\n  a: {durable: {retry: 1}}", "agents.a.durable.retry", 2, "did you mean 'retries'"),
        ("journal: false\nagents:\n  a: {durable: true}", "journal", 1, "is false, but 'a' is durable"),
        (
            "agents:\n  a:\n    durable: true\n    mailbox: {overflow: drop_oldest}",
            "agents.a.mailbox.overflow",
            4,
            "'drop_oldest' loses messages that 'a', which is durable, must keep",
        ),
        (
            "agents:\n  a: {durable: true}\ndefaults:\n  mailbox: {overflow: drop_newest}",
            "defaults.mailbox.overflow",
            4,
            "'drop_newest' loses messages",
        ),
        (
            "defaults: {durable: true}\nagents: {a: {}}\nteams:\n"
            "  t: {mode: parallel, members: [a], mailbox: {overflow: drop_newest}}",
            "teams.t.mailbox.overflow",
            4,
            "that 't', which is durable",
        ),
    ],
)
def test_a_durable_node_that_would_lose_messages_is_refused(text: str, path: str, line: int, expected: str) -> None:
    problem = problem_of(text)

    assert (problem.path, problem.line, expected in problem.message) == (path, line, True)


@pytest.mark.parametrize("overflow", ["reject", "wait"])
def test_a_durable_node_may_reject_or_wait(overflow: str) -> None:
    assert read(f"agents: {{a: {{durable: true, mailbox: {{overflow: {overflow}}}}}}}").is_durable("a")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (True, {}),
        (False, {"enabled": False}),
        ("orders.journal", {"path": str(Path.cwd() / "orders.journal")}),
        (Path("x") / "orders.journal", {"path": str(Path.cwd() / "x" / "orders.journal")}),
        (URL, {"url": URL}),
    ],
)
def test_the_journal_of_a_pool_takes_the_place_of_that_of_the_manifest(given: Any, expected: dict[str, Any]) -> None:
    manifest = read("journal: elsewhere.journal\nagents: {a: {}}")

    assert manifest_of(manifest, given).journal == JournalSpec(**expected)
    assert manifest_of(manifest).journal == JournalSpec(path="elsewhere.journal")


@pytest.mark.parametrize("given", ["", 5, b"x", [], "mysql://u:hidden@h/d", {"path": "x", "url": URL}])
def test_what_cannot_be_a_journal_of_a_pool_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="a pool's journal must be True, False, the path of a file, or") as caught:
        manifest_of(None, given)

    assert "hidden" not in str(caught.value)


def test_what_cannot_be_a_manifest_of_a_pool_is_refused() -> None:
    with pytest.raises(ManifestError, match="a pool is made from the path of a manifest"):
        manifest_of(5)
