import inspect
import pickle

import pytest

from protocols import errors
from protocols.errors import ManifestError, MemberError, NodeNotFoundError, UnderstageError, nearest

TREE = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, UnderstageError)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_in_the_tree_and_says_when_it_is_raised(kind: type[UnderstageError]) -> None:
    assert kind.__doc__
    assert f"{kind.__name__}" in (errors.__doc__ or "")
    assert issubclass(kind, Exception)


@pytest.mark.parametrize("kind", TREE)
def test_every_error_keeps_text_node_and_message_over_pickling(kind: type[UnderstageError]) -> None:
    error = kind("node 'a': cannot", node="a")
    error.message = {"in": "hand"}
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.node, copy.message) == (kind, "node 'a': cannot", "a", {"in": "hand"})


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("NodeNotFoundError", KeyError),
        ("NodeNameError", ValueError),
        ("NodeStoppedError", RuntimeError),
        ("EmptyPromptError", ValueError),
        ("MissingExtraError", ImportError),
        ("ManifestError", ValueError),
        ("RunError", RuntimeError),
        ("RunTimeoutError", TimeoutError),
        ("ChainBrokenError", ValueError),
        ("EmptyChainError", IndexError),
        ("PickError", ValueError),
    ],
)
def test_error_is_also_the_builtin_that_users_catch(kind: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, kind), builtin)


def test_node_not_found_offers_the_nearest_names_and_is_not_quoted_like_a_key_error() -> None:
    error = NodeNotFoundError.of("analzer", ["analyzer", "editor"])
    assert str(error) == "no node 'analzer' in the pool; did you mean 'analyzer'?"
    assert error.node == "analzer"


def test_node_not_found_in_an_empty_pool_says_so() -> None:
    assert str(NodeNotFoundError.of("a", [], "team")) == "no node 'a' in the team; the team is empty"


def test_manifest_error_says_file_line_and_key() -> None:
    error = ManifestError("expected a list", file="a.yml", line=3, key="teams.x.members")
    assert str(error) == "a.yml:3, teams.x.members: expected a list"
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.file, copy.line, copy.key) == (str(error), "a.yml", 3, "teams.x.members")
    assert str(ManifestError("empty")) == "empty"


def test_member_error_lists_each_failure() -> None:
    error = MemberError.of("t", {"a": ValueError("one"), "b": KeyError("two")})
    assert str(error) == "team 't': 2 member(s) failed: a: one; b: 'two'"
    assert list(error.errors) == ["a", "b"]


def test_nearest_lists_what_is_known_when_nothing_is_close() -> None:
    assert nearest("zzz", ["b", "a"]) == "; known are a, b"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", map(str, range(15))).endswith(" and 3 more")


def test_nearest_offers_no_name_that_is_much_less_like_the_wrong_one() -> None:
    assert nearest("modle", ["durable", "model"]) == "; did you mean 'model'?"
    assert (
        nearest("result_type", ["retry", "deps_type", "output_type"]) == "; did you mean 'deps_type' or 'output_type'?"
    )
