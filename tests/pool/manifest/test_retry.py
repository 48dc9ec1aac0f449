"""A manifest says how often a node tries again."""

import pytest

from actors import Backoff, Retry
from actors.config.load import parse_manifest
from actors.pool.manifest.pool import build
from protocols.errors import ManifestError, RunTimeoutError


class UselessError(Exception):
    """A failure of a user."""


MANIFEST = """
allow_imports: [tests.pool]
defaults: {retry: {attempts: 7}}
agents:
  a: {model: offline}
  b:
    model: offline
    retry:
      attempts: 2
      on: [ConnectionError, RunTimeoutError, "tests.pool.manifest.test_retry:UselessError"]
      backoff: {min: 1, max: 5}
  f: {type: callback, callback: "builtins:str", retry: {attempts: 4}}
teams:
  t: {mode: sequential, members: [a, b], retry: {attempts: 5}}
"""


def test_a_manifest_says_how_often() -> None:
    nodes = build(parse_manifest(MANIFEST)).nodes
    retries = {name: node.definition.settings.retry for name, node in nodes.items()}

    assert {name: retry.attempts for name, retry in retries.items() if retry} == {"a": 7, "b": 2, "f": 4, "t": 5}
    assert retries["b"] == Retry(
        attempts=2, on=(ConnectionError, RunTimeoutError, UselessError), backoff=Backoff(min=1, max=5)
    )


def test_a_manifest_says_which_nodes_redeliver() -> None:
    team = "{mode: parallel, members: [a], redeliver: true}"
    text = f"{{agents: {{a: {{model: offline, redeliver: true}}, b: {{model: offline}}}}, teams: {{t: {team}}}}}"
    nodes = build(parse_manifest(text)).nodes

    assert {name: node.definition.settings.redeliver for name, node in nodes.items()} == {
        "a": True,
        "b": False,
        "t": True,
    }


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("{attempts: 0}", r"retry\.attempts"),
        ("{attempts: 2, on: [NoSuchError]}", r"retry\.on\[0\].*NoSuchError"),
        ("{backoff: {min: 5, max: 1}}", r"retry\.backoff\.min"),
        ("{tries: 2}", r"retry.*tries"),
    ],
)
def test_a_manifest_with_an_impossible_retry_is_refused_with_the_key(keys: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        parse_manifest(f"agents: {{a: {{model: offline, retry: {keys}}}}}")
