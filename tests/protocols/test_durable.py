"""How a node keeps what it has accepted."""

from __future__ import annotations

from typing import Any

import pytest

from actors import Agent, Durable, Team, TeamRun
from actors.runtime.mailbox import MailboxConfig
from protocols.durable import durable_of
from protocols.errors import ConfigError
from protocols.mailbox import Overflow


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"retries": -1}, "retries must be a whole number >= 0, not -1"),
        ({"retries": None}, "retries must be"),
        ({"backoff": 0}, "backoff must be a finite number > 0"),
        ({"backoff": float("inf")}, "backoff must be"),
        ({"order": "random"}, "order must be one of 'loose', 'strict'"),
        ({"steps": 1}, "steps must be True or False"),
        ({"expires": 0}, "expires must be"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"durable: {words}"):
        Durable(**values)


def test_true_is_the_usual_and_false_is_nothing() -> None:
    strict = Durable(order="strict")

    assert [durable_of(given) for given in (True, False, None, strict)] == [Durable(), None, None, strict]


def test_every_kind_of_node_can_be_durable() -> None:
    agent = Agent("clerk", model="offline", durable=True)
    function = Agent.from_callback(str.upper, name="shout", durable=Durable(retries=2))
    team = Team([agent, function], durable=True)
    chain = TeamRun([agent, function], durable=Durable(order="strict"))
    nodes: list[Any] = [agent, function, team, chain, Agent("plain", model="offline")]

    durable = [node.definition.settings.durable for node in nodes]
    assert durable == [Durable(), Durable(retries=2), Durable(), Durable(order="strict"), None]


def test_a_node_refuses_what_is_not_durable() -> None:
    wrong: Any = "yes"

    with pytest.raises(ConfigError, match=r"agent 'a': durable must be True, False or Durable\(.*, not 'yes'"):
        Agent("a", durable=wrong)
    with pytest.raises(ConfigError, match=r"team 't': durable must be True, False or Durable\(.*, not 'yes'"):
        Team([], name="t", durable=wrong)


@pytest.mark.parametrize(
    "mailbox",
    [
        MailboxConfig(5, Overflow.DROP_OLDEST),
        MailboxConfig(5, Overflow.DROP_NEWEST),
        MailboxConfig(5, Overflow.COALESCE, key=hash),
        MailboxConfig(5, priority=lambda _: 0),
    ],
)
def test_a_durable_member_has_no_mailbox_that_loses_messages(mailbox: MailboxConfig) -> None:
    def team(*, durable: bool, mailbox: MailboxConfig) -> Team[Any]:
        return Team([Agent("clerk", model="offline", durable=durable)], member_specs={"clerk": {"mailbox": mailbox}})

    team(durable=False, mailbox=mailbox)
    team(durable=True, mailbox=MailboxConfig(5, Overflow.WAIT))
    with pytest.raises(ConfigError, match="'clerk' is durable, so its mailbox must reject or wait"):
        team(durable=True, mailbox=mailbox)
