"""The composition root: a pool with statistics, models checked before the run, logs on standard error."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from actors import AgentPool
from actors.app import check_models, open_app, readable, with_model
from actors.config.load import parse_manifest
from actors.prompts.content import load_user_content
from actors.runtime.system import ActorSystem
from protocols.errors import EmptyPromptError, ManifestError, NodeNotFoundError, PromptFileError
from protocols.json_value import as_json
from protocols.messages import ChatMessage
from tests.pool.manifest_functions import Verdict

if TYPE_CHECKING:
    from actors.agents.agent import Agent

TEXT = """
allow_imports: [tests.pool]
agents:
  good: {model: offline}
  bad: {model: nope}
  keyless: {model: "openai:gpt-4.1-mini"}
  second: {model: {name: offline, fallbacks: [nope]}}
  asks: {model: offline, workers: [bad]}
  tells: {model: offline, connections: [{type: node, name: bad}]}
  code: {type: callback, callback: "tests.pool.manifest_functions:shout"}
teams:
  fine: {mode: parallel, members: [good, code]}
  round: {mode: sequential, members: [fine, bad]}
  judged: {mode: sequential, members: [good], validator: bad}
  picked: {mode: parallel, members: [good, code], picker: bad}
"""


async def test_an_app_counts_what_its_pool_does(no_leaked_actors: None) -> None:
    async with open_app(parse_manifest("agents: {a: {model: offline}}")) as app:
        await app.pool["a"].run("Cats sleep.")
        snapshot = await app.read_stats()

    assert (snapshot.total.messages, snapshot.total.completed) == (1, 1)
    assert [node.name for node in snapshot.nodes] == ["a"]


async def test_nothing_is_left_of_an_app_whose_pool_cannot_start(no_leaked_actors: None) -> None:
    text = "allow_imports: [tests.pool]\nagents: {a: {knowledge: {callables: ['tests.pool.test_life:empty']}}}"
    loop = asyncio.get_running_loop()
    with pytest.raises(Exception, match="is empty"):
        await open_app(parse_manifest(text)).__aenter__()

    assert ActorSystem.of(loop).actors() == []


@pytest.mark.parametrize("node", ["good", "code", "fine"])
def test_models_that_can_be_made_are_accepted(node: str) -> None:
    check_models(parse_manifest(TEXT), node)


@pytest.mark.parametrize("node", ["bad", "round", "judged", "picked", "asks", "tells", "second"])
def test_an_unknown_model_is_found_wherever_the_run_can_lead(node: str) -> None:
    with pytest.raises(ManifestError, match=r"^<text>:\d+: agents.(bad|second).model: model 'nope' is unknown"):
        check_models(parse_manifest(TEXT), node)


def test_a_missing_key_is_found_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    pytest.importorskip("openai")

    with pytest.raises(ManifestError, match=r"^<text>:\d+: agents.keyless.model: .*OPENAI_API_KEY"):
        check_models(parse_manifest(TEXT), "keyless")


def test_an_unknown_node_has_no_models() -> None:
    with pytest.raises(NodeNotFoundError, match=r"'god'.*did you mean 'good'"):
        check_models(parse_manifest(TEXT), "god")


async def test_another_model_is_for_every_agent_that_has_one() -> None:
    async with open_app(with_model(parse_manifest(TEXT), "test")) as app:
        models = {name: cast("Agent[object, str]", agent).model for name, agent in app.pool.agents.items()}

    assert models.pop("code") is None
    assert set(models.values()) == {"test"}


async def test_texts_and_files_are_one_prompt(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Text.", encoding="utf-8")

    assert await load_user_content(["Read:", file]) == 'Read:\n\n<document name="a.txt">\nText.\n</document>'
    with pytest.raises(EmptyPromptError):
        await load_user_content([" "])
    with pytest.raises(PromptFileError):
        await load_user_content(["Read:", tmp_path])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hello", "hello"),
        (["a", "b"], "a\nb"),
        ({"a": 1}, '{"a":1}'),
        (Verdict(text="ok", score=3), '{"text":"ok","score":3}'),
        (5, "5"),
    ],
)
def test_content_is_readable_for_people(content: object, text: str) -> None:
    assert readable(ChatMessage(content, "assistant")) == text


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Verdict(text="ok"), {"text": "ok", "score": 0}),
        ([Verdict(text="ok")], [{"text": "ok", "score": 0}]),
        ({"path": Path("x")}, {"path": "x"}),
        ("text", "text"),
    ],
)
def test_any_value_can_be_said_in_json(value: object, plain: object) -> None:
    assert as_json(value) == plain


@pytest.mark.parametrize(("debug", "shown"), [(False, ["fault"]), (True, ["noise", "actor crashed", "fault"])])
def test_log_lines_that_no_event_tells_go_to_standard_error_and_all_for_debugging(
    debug: bool, shown: list[str]
) -> None:
    code = (
        "import logging\nfrom actors.app import configure_logging\n"
        f"configure_logging(debug={debug})\nlogging.getLogger('understage').error('noise')\n"
        "engine = logging.getLogger('understage.engine')\nengine.error('actor crashed: actor a')\nengine.error('fault')"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, encoding="utf-8", check=True)

    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == len(shown)
    assert all(word in line for word, line in zip(shown, lines, strict=True)), done.stderr


def test_a_pool_says_that_it_is_entered_asynchronously() -> None:
    pool: Any = AgentPool[None]()
    with pytest.raises(TypeError, match=r"pool '.*' lives on an event loop: use `async with`"), pool:
        pytest.fail("it was entered")
