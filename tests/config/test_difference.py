import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.difference import unchanged_nodes
from tests.config.manifest_text import CONTRACT_EXAMPLE, read

BASE = """
allow_imports: [pkg]
defaults: {model: test}
mcp_servers: []
agents:
  a: {output_type: Answer}
  b: {model: offline, tools: ["pkg:f"]}
  c: {}
teams:
  t: {mode: parallel, members: [a, b]}
responses:
  Answer: {fields: {p: Person}}
  Person: {fields: {name: str}}
  Other: {fields: {x: str}}
"""


def test_a_manifest_does_not_differ_from_itself() -> None:
    same = unchanged_nodes(read(CONTRACT_EXAMPLE), read(CONTRACT_EXAMPLE))

    assert same == {"reader", "first", "second", "writers"}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("model: offline,", "model: x,", "b"),
        ("pkg:f", "pkg:g", "b"),
        ("defaults: {model: test}", "defaults: {model: x}", "ac"),
        ("defaults: {model: test}", "defaults: {model: test, timeout: 5}", "abct"),
        ("fields: {p: Person}", "fields: {p: Person, q: str}", "a"),
        ("fields: {name: str}", "fields: {name: int}", "a"),
        ("fields: {x: str}", "fields: {x: int}", ""),
        ("members: [a, b]", "members: [b, a]", "t"),
        ("mcp_servers: []", "mcp_servers: [x]", "abct"),
        ("allow_imports: [pkg]", "allow_imports: [pkg, other]", ""),
        ("  c: {}", "  c: {retries: }", ""),
        ("  c: {}", "  c: {connections: [{type: node, name: a}]}", ""),
        ("  c: {}", "  c: {triggers: [{type: file, name: f, paths: [x]}]}", ""),
        ("  c: {}", "  c: {supervision: {restart: permanent}, mailbox: {capacity: 5}}", ""),
        ("mode: parallel,", "mode: parallel, supervision: {strategy: one_for_all},", "t"),
        ("mode: parallel,", "mode: sequential,", "t"),
    ],
)
def test_a_node_changes_with_what_it_is_built_from(old: str, new: str, changed: str) -> None:
    assert unchanged_nodes(read(BASE), read(BASE.replace(old, new))) == set("abct") - set(changed)


def test_added_and_removed_nodes_are_not_the_same() -> None:
    newer = BASE.replace("  c: {}", "  d: {}")

    assert unchanged_nodes(read(BASE), read(newer)) == {"a", "b", "t"}


def test_a_secret_that_changes_is_a_change() -> None:
    text = "agents: {a: {mcp_servers: [{command: x, env: {KEY: one}}]}}"

    assert not unchanged_nodes(read(text), read(text.replace("one", "two")))


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")),
)
def test_nodes_are_the_same_when_both_manifests_say_the_same_of_them(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = (
        read("agents: {" + ", ".join(f"{name}: {{description: {text}}}" for name, text in nodes.items()) + "}")
        for nodes in (old, new)
    )

    assert unchanged_nodes(before, after) == {name for name in old.keys() & new.keys() if old[name] == new[name]}
