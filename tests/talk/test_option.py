from typing import Any

import pytest

from actors.talk.registry import TalkRegistry
from actors.talk.talk import Talk
from protocols.errors import NodeNotFoundError, TalkError
from tests.support.nodes import echo_agent


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"connection_type": "walk"}, "connection_type must be one of 'run', 'context', 'forward', not 'walk'"),
        ({"queue_strategy": "all"}, "queue_strategy must be one of"),
        ({"queued": True, "overflow": "wait"}, "overflow must be one of 'reject', 'drop_oldest', 'drop_newest'"),
        ({"capacity": 0}, "capacity must be a whole number >= 1, not 0"),
        ({"hop_limit": True}, "hop_limit must be a whole number >= 1, not True"),
        ({"transform": "upper"}, "transform must be a function, not 'upper'"),
        ({"priority": 1.5}, "priority must be a whole number, not 1.5"),
        ({"delay": -1}, "delay must be seconds >= 0, not -1"),
        ({"delay": float("nan")}, "delay must be seconds >= 0, not nan"),
        ({"delay": 1, "queued": True}, "delay does not go with queued"),
    ],
)
async def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], problem: str) -> None:
    a, b = echo_agent("a"), echo_agent("b")

    with pytest.raises(TalkError, match=problem):
        a.connect_to(b, **options)
    assert list(a.connections) == []


async def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    options: dict[str, Any] = {"filter": None, "queue": True}
    with pytest.raises(TypeError, match="take no keyword 'filter'; did you mean 'filter_condition'"):
        echo_agent("a").connect_to(echo_agent("b"), **options)


async def test_what_is_no_node_is_refused() -> None:
    a = echo_agent("a")

    with pytest.raises(ValueError, match="cannot apply >> to 5"):
        _ = a >> 5
    with pytest.raises(NodeNotFoundError, match="'a' is in no pool"):
        _ = a >> "unknown"
    with pytest.raises(TalkError, match="name at least one target"):
        Talk(a, [])


async def test_a_name_leads_to_a_node_of_the_pool() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    a.connections.join(TalkRegistry(), {"a": a, "beta": b})
    talk = a.connect_to("beta")

    assert talk.target is b
    with pytest.raises(NodeNotFoundError, match="did you mean 'beta'"):
        _ = a >> "bet"
