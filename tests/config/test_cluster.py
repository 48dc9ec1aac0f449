"""Which processes share a pool, and which nodes that allows."""

from __future__ import annotations

from typing import Any

import pytest

from actors.config.cluster import ClusterSpec
from actors.config.load import manifest_of
from protocols.errors import ConfigError
from tests.config.manifest_text import problem_of, read

URL = "postgresql://u:hidden@h/d"
CLUSTER = f"cluster: '{URL}'\n"
RAY = f"engine: ray, url: '{URL}'"


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (f"'{URL}'", {"url": URL}),
        (
            f"{{engine: postgres, url: '{URL}', shards: 8, ttl: 1m, name: east}}",
            {"url": URL, "shards": 8, "ttl": 60.0, "name": "east"},
        ),
        (f"{{{RAY}, hosts: 3, resource: disk}}", {"engine": "ray", "url": URL, "hosts": 3, "resource": "disk"}),
        (f"{{{RAY}, address: 'h:6379'}}", {"engine": "ray", "url": URL, "address": "h:6379"}),
        ("false", {"enabled": False}),
    ],
)
def test_the_forms_of_a_cluster_are_read(text: str, given: dict[str, Any]) -> None:
    assert read(f"cluster: {text}").cluster == ClusterSpec(**given)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("cluster: true", "cluster", "needs the 'url' of a database"),
        (f"{CLUSTER}journal: {{path: x}}", "journal.path", "is a file, which the processes of a cluster cannot share"),
        (f"{CLUSTER}journal: false", "journal", "is false, but the processes of a cluster share one"),
        (f"cluster: {{url: '{URL}', hosts: 2}}", "cluster.hosts", "goes with 'engine: ray', and only with it"),
        (f"cluster: {{{RAY}, address: 'ray://h:1'}}", "cluster.address", "expected 'auto', or the host and port"),
        (f"cluster: {{{RAY}, shards: 2, hosts: 3}}", "cluster.hosts", "is more than the 2 'shards'"),
        ("cluster: 'mysql://u:hidden@h/d'", "cluster", "expected postgresql://"),
        (f"cluster: {{url: '{URL}', shards: 0}}", "cluster.shards", "must be at least 1"),
        (f"cluster: {{url: '{URL}', shards: 1025}}", "cluster.shards", "must be at most 1024"),
        (f"cluster: {{url: '{URL}', ttl: 0}}", "cluster.ttl", "must be"),
        (
            f"{CLUSTER}agents: {{a: {{durable: true, placement: anywhere}}}}",
            "agents.a.placement",
            "is 'anywhere', but 'a' remembers or works on one run at a time: it needs 'session: false'",
        ),
        (
            f"{CLUSTER}agents: {{a: {{durable: true, placement: anywhere, session: false, max_concurrency: 1}}}}",
            "agents.a.placement",
            "or works on one run at a time: it needs 'session: false' and a larger 'max_concurrency'",
        ),
    ],
)
def test_what_processes_cannot_share_is_refused_with_its_place(text: str, path: str, expected: str) -> None:
    problem = problem_of(text)

    assert (problem.path, expected in problem.message) == (path, True)
    assert "hidden" not in str(problem)


@pytest.mark.parametrize(
    "nodes",
    [
        "agents: {a: {durable: true}}",
        "agents: {a: {session: false}}",
        "agents: {a: {}}",
        "agents: {a: {placement: anywhere}}",
        "agents: {a: {durable: true, placement: single}}\nteams: {t: {mode: parallel, members: [a]}}",
        "agents: {a: {}}\ndefaults: {durable: true}",
    ],
)
def test_nodes_that_fit_are_taken(nodes: str) -> None:
    manifest = read(f"{CLUSTER}{nodes}")
    journal = manifest.effective_journal

    assert journal is not None
    assert journal.url is not None
    assert journal.url.get_secret_value() == URL


def test_the_journal_may_name_the_database() -> None:
    manifest = read(f"journal: '{URL}'\ncluster: true")

    assert manifest.is_clustered
    assert manifest.effective_journal == manifest.journal


@pytest.mark.parametrize(
    ("given", "expected"),
    [(URL, {"url": URL}), ({"url": URL, "ttl": 2.0}, {"url": URL, "ttl": 2.0}), (False, {"enabled": False})],
)
def test_the_cluster_of_a_pool_takes_the_place_of_that_of_the_manifest(given: Any, expected: dict[str, Any]) -> None:
    manifest = read(f"{CLUSTER}agents: {{a: {{durable: true}}}}")

    assert manifest_of(manifest, None, given).cluster == ClusterSpec(**expected)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (True, "needs the 'url' of a database"),
        (5, "must be True, False"),
        ({"url": URL, "size": 3}, "unknown|extra|Extra"),
        ({"url": URL, "shards": 0}, "cluster: "),
    ],
)
def test_a_wrong_keyword_is_refused(given: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        manifest_of(None, None, given)
