"""The failure of a kept run: whatever was raised, it is kept, told here and in a later process, and ends the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.durable.failure import decode_failure, encode_failure
from protocols.errors import NodeStartError, RemoteFailureError, RunError
from tests.durable.life import Life

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Mute:
    """An object that has no text."""

    def __str__(self) -> str:
        raise ValueError("mute")


class StrangeError(Exception):
    """An error whose attributes are not what they are elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.node = self.failed_step = object()


def noted(error: Exception, *notes: str) -> Exception:
    """Return an error with notes."""
    for note in notes:
        error.add_note(note)
    return error


def with_notes(notes: object) -> Exception:
    """Return an error whose notes are no list."""
    error = ValueError("odd")
    vars(error)["__notes__"] = notes
    return error


ODD = {
    "a lone surrogate": ValueError("x \ud800 y"),
    "in a note": noted(ValueError("odd"), "\udfff"),
    "notes of another kind": with_notes(7),
    "a key without a text": KeyError(Mute()),
    "an error without a text": ValueError(Mute()),
    "other attributes": StrangeError("odd"),
}


@pytest.mark.parametrize("name", ODD)
async def test_a_run_that_raises_anything_ends_and_the_next_one_begins(journal: MemoryJournal, name: str) -> None:
    async def work(prompt: str) -> str:
        if prompt == "odd":
            raise ODD[name]
        return prompt

    clerk = Agent.from_callback(work, name="clerk", max_concurrency=1)
    async with Life(journal, clerk):
        with pytest.raises(type(ODD[name])):
            await clerk.run("odd", request_id="odd")
        assert (await clerk.run("next")).content == "next"
    again = Agent.from_callback(work, name="clerk", max_concurrency=1)
    async with Life(journal, again):
        with pytest.raises(Exception, match=r".") as raised:
            await again.run("odd", request_id="odd")
    assert type(raised.value) in {type(ODD[name]), RemoteFailureError}


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("key"), RunError("no", node="a"), NodeStartError("no")])
def test_known_errors_come_back_as_they_were(error: Exception) -> None:
    found: Any = decode_failure(encode_failure(noted(error, "one", "two")))
    assert (type(found), str(found), found.__notes__[:2]) == (type(error), str(error), ["one", "two"])
    assert getattr(found, "node", None) == getattr(error, "node", None)


@pytest.mark.parametrize(
    "error", [StrangeError("odd"), StopIteration("odd"), UnicodeDecodeError("utf-8", b"", 0, 1, "odd")]
)
def test_other_errors_say_what_they_were(error: Exception) -> None:
    found = decode_failure(encode_failure(error))
    assert isinstance(found, RemoteFailureError)
    assert found.kind == type(error).__name__
    assert "odd" in str(found)
