"""Child specs: what they default to, and what they refuse before anything starts."""

import pickle
from functools import partial
from math import inf, nan
from typing import Any, ClassVar

import pytest

from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildKind, ChildSpec, ChildSpecError, check_spec, check_specs
from actors.supervision.errors import SupervisionOptionError


class HTTPCounter:
    """Stands for an actor class."""

    def __init__(self, start: int = 0) -> None:
        self.n = start


class Branch:
    """Stands for a supervisor class."""

    child_kind: ClassVar[ChildKind] = "supervisor"


class Unspeakable:
    """A value whose repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError


async def start_later() -> HTTPCounter:
    """Make an actor too late."""
    return HTTPCounter()


def test_plain_spec_is_a_permanent_worker_with_five_seconds_to_stop() -> None:
    spec = ChildSpec(HTTPCounter)
    assert (spec.name, spec.restart, spec.kind, spec.shutdown) == ("http_counter", "permanent", "worker", 5.0)
    assert (spec.args, dict(spec.kwargs), spec.significant) == ((), {}, False)
    assert (spec.mailbox, spec.start_timeout, spec.backoff, spec.crash_on) == (None, None, None, ())


@pytest.mark.conformance("R22")
def test_supervisor_class_makes_a_child_that_is_waited_for() -> None:
    spec = ChildSpec(Branch)
    assert (spec.kind, spec.shutdown) == ("supervisor", "infinity")
    assert ChildSpec(Branch, shutdown=2).shutdown == 2.0
    assert ChildSpec(partial(Branch)).kind == "supervisor"


@pytest.mark.parametrize("shutdown", [0.0, 1.5, "kill", "infinity"])
def test_shutdown_accepts_seconds_and_both_words(shutdown: Any) -> None:
    assert ChildSpec(HTTPCounter, shutdown=shutdown).shutdown == shutdown


def test_arguments_may_follow_the_class() -> None:
    assert ChildSpec(list, ((1, 2),)) == ChildSpec(list, args=((1, 2),))
    with pytest.raises(ChildSpecError, match=r"args must be a tuple of arguments, such as \(value,\), not 5"):
        ChildSpec(list, 5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_name_of_a_partial_is_that_of_its_function() -> None:
    assert ChildSpec(partial(HTTPCounter, 3)).name == "http_counter"


def test_spec_does_not_change_with_the_arguments_it_was_made_from() -> None:
    kwargs = {"start": 1}
    spec = ChildSpec(HTTPCounter, kwargs=kwargs)
    kwargs["start"] = 2
    assert spec.kwargs == {"start": 1}
    with pytest.raises(AttributeError):
        spec.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_specs_compare_by_value_and_can_be_hashed() -> None:
    one, same = (ChildSpec(HTTPCounter, args=([],), kwargs={"start": []}) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)


def test_repr_does_not_tell_the_arguments() -> None:
    assert "secret" not in repr(ChildSpec(HTTPCounter, args=("secret",), kwargs={"start": "secret"}))


@pytest.mark.conformance("R57")
@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"restart": "allways"}, "restart", "'temporary', not 'allways'"),
        ({"restart": None}, "restart", "must be one of"),
        ({"restart": ["permanent"]}, "restart", "one of 'permanent', 'transient', 'temporary'"),
        ({"shutdown": -1.0}, "shutdown", "seconds >= 0"),
        ({"shutdown": nan}, "shutdown", "finite"),
        ({"shutdown": inf}, "shutdown", "'infinity' for no limit"),
        ({"shutdown": "infinite"}, "shutdown", "or 'infinity'"),
        ({"shutdown": True}, "shutdown", "a finite number"),
        ({"start_timeout": 0.0}, "start_timeout", "finite number > 0"),
        ({"start_timeout": -2.0}, "start_timeout", "finite number > 0"),
        ({"start_timeout": inf}, "start_timeout", "finite"),
        ({"significant": "yes", "restart": "transient"}, "significant", "True or False"),
        ({"kind": "boss"}, "kind", "one of 'worker', 'supervisor', not 'boss'"),
        ({"args": "ab"}, "args", "tuple"),
        ({"args": 5}, "args", "such as (value,), not 5"),
        ({"kwargs": [1]}, "kwargs", "mapping of argument names"),
        ({"kwargs": {1: 2}}, "kwargs", "argument names to values, not {1: 2}"),
        ({"backoff": 3.0}, "backoff", "must be a Backoff"),
        ({"crash_on": ValueError}, "crash_on", "tuple of exception types"),
        ({"crash_on": (int,)}, "crash_on", "exception types, not (<class 'int'>,)"),
        ({"mailbox": 100}, "mailbox", "must be a MailboxConfig"),
        ({"restart": Unspeakable()}, "restart", "<Unspeakable"),
    ],
)
def test_spec_refuses_an_impossible_value_and_names_child_and_field(
    fields: dict[str, Any], field: str, told: str
) -> None:
    with pytest.raises(ChildSpecError) as caught:
        ChildSpec(HTTPCounter, name="counter", **fields)
    assert (caught.value.child, caught.value.field) == ("counter", field)
    assert str(caught.value).startswith("child 'counter': ")
    assert told in str(caught.value)


@pytest.mark.conformance("R57")
@pytest.mark.parametrize("start", [None, 3, "Counter", HTTPCounter(), start_later])
def test_spec_refuses_a_start_that_cannot_make_an_actor(start: Any) -> None:
    with pytest.raises(ChildSpecError, match="actor_class must be ") as caught:
        ChildSpec(start, name="counter")
    assert caught.value.field == "actor_class"


@pytest.mark.parametrize("name", ["", "  ", 3, b"x"])
def test_spec_refuses_an_empty_name(name: Any) -> None:
    with pytest.raises(ChildSpecError, match="name must be "):
        ChildSpec(HTTPCounter, name=name)


def test_spec_of_a_lambda_needs_a_name() -> None:
    with pytest.raises(ChildSpecError, match=r"give name="):
        ChildSpec(lambda: HTTPCounter(3))
    assert ChildSpec(lambda: HTTPCounter(3), name="three").name == "three"


@pytest.mark.conformance("R55")
def test_significant_permanent_child_is_refused() -> None:
    with pytest.raises(ChildSpecError, match="permanent child always restarts") as caught:
        ChildSpec(HTTPCounter, significant=True)
    assert caught.value.field == "significant"


@pytest.mark.conformance("R57")
def test_mapping_with_an_extra_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ChildSpecError, match=r"child 'a': unknown field 'restrat'; did you mean 'restart'\?") as caught:
        ChildSpec.from_mapping({"actor_class": HTTPCounter, "name": "a", "restrat": "permanent"})
    assert caught.value.field == "restrat"


@pytest.mark.parametrize("key", [3, Unspeakable(), "_", "zzz"])
def test_mapping_with_a_strange_key_is_refused(key: Any) -> None:
    with pytest.raises(ChildSpecError, match="unknown field"):
        ChildSpec.from_mapping({"actor_class": HTTPCounter, key: 1})


@pytest.mark.conformance("R57")
def test_mapping_without_a_start_is_refused() -> None:
    with pytest.raises(ChildSpecError, match="actor_class is missing") as caught:
        ChildSpec.from_mapping({"name": "a"})
    assert (caught.value.child, caught.value.field) == ("a", "actor_class")


def test_mapping_makes_the_same_spec_as_the_arguments() -> None:
    fields: dict[str, Any] = {"name": "a", "restart": "transient", "backoff": Backoff.none()}
    assert ChildSpec.from_mapping({"actor_class": HTTPCounter, **fields}) == ChildSpec(HTTPCounter, **fields)


def test_checked_specs_keep_their_order() -> None:
    specs = check_specs([ChildSpec(HTTPCounter, name="b"), {"actor_class": HTTPCounter, "name": "a"}])
    assert [spec.name for spec in specs] == ["b", "a"]
    assert check_specs([]) == ()


@pytest.mark.conformance("R57")
def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(ChildSpecError, match="child 'a': duplicate name; child 1") as caught:
        check_specs([ChildSpec(HTTPCounter, name="a"), ChildSpec(HTTPCounter, name="a")])
    assert (caught.value.child, caught.value.field) == ("a", "name")


@pytest.mark.conformance("R57")
@pytest.mark.parametrize(
    ("options", "field"),
    [({"strategy": "one_for_al"}, "strategy"), ({"auto_shutdown": "always"}, "auto_shutdown")],
)
def test_unknown_options_of_the_supervisor_are_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(SupervisionOptionError, match=f"supervisor: {field} must be one of ") as caught:
        check_specs([], **options)
    assert caught.value.field == field


@pytest.mark.parametrize("specs", [None, 3, "abc", {"actor_class": HTTPCounter}])
def test_children_that_are_no_list_are_refused(specs: Any) -> None:
    with pytest.raises(SupervisionOptionError, match="must be a list of ChildSpec"):
        check_specs(specs)


def test_a_class_in_place_of_a_spec_is_refused_with_its_position() -> None:
    wrong: Any = HTTPCounter
    with pytest.raises(ChildSpecError, match=r"child '1': .* is not a ChildSpec; wrap it"):
        check_specs([ChildSpec(HTTPCounter), wrong])


@pytest.mark.conformance("R57")
def test_significant_child_of_a_supervisor_that_never_shuts_down_by_itself_is_refused() -> None:
    spec = ChildSpec(HTTPCounter, restart="transient", significant=True)
    with pytest.raises(ChildSpecError, match="no effect with auto_shutdown='never'") as caught:
        check_specs([spec])
    assert caught.value.field == "significant"
    assert check_spec(spec, auto_shutdown="any_significant") is spec


@pytest.mark.conformance("R60")
def test_spec_can_forget_what_the_child_was_started_with() -> None:
    big: Any = [0] * 1000
    spec = ChildSpec(
        partial(HTTPCounter, big), args=(big,), kwargs={"start": big}, restart="temporary", mailbox=MailboxConfig()
    )
    bare = spec.without_arguments()
    assert (bare.args, dict(bare.kwargs), bare.mailbox, bare.actor_class) == ((), {}, None, HTTPCounter)
    assert (bare.name, bare.restart, bare.shutdown) == (spec.name, spec.restart, spec.shutdown)


def test_error_survives_pickling_with_all_it_says() -> None:
    error = ChildSpecError("a", "restart", "no")
    copy: ChildSpecError = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.child, copy.field, copy.problem) == ("child 'a': no", "a", "restart", "no")
