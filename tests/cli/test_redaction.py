"""No secret gets to a terminal, a log or a pipe, and nothing that somebody else wrote moves the cursor."""

from __future__ import annotations

import asyncio
import base64
import html
import io
import json
import re
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.app import open_app
from actors.cli.exit_code import ExitCode
from actors.cli.feed_client import Tables, follow
from actors.cli.redaction import RedactedStream, one_line
from actors.cli.tree_view import document
from actors.config.load import load_manifest, parse_manifest
from actors.config.manifest import secrets_in
from actors.dashboard import serve_monitor
from protocols.redaction import MASK, Redaction, redact
from tests.cli.conftest import Call, start_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARIES = {
    "env": "canary-env-11112222",
    "header": "canary-header-33334444",
    "tool": "canary-tool-55556666",
    "url": "canary-url-77778888",
    "hook": "canary-hook-99990000",
}
EVIL = "\\x1b[2J\\u202eevil\\x07\\nsecond line"
FUNCTIONS = """
import logging

def boom(text: str) -> str:
    raise ValueError("{all} http://me:{url}@host/ {evil}")

def fine(text: str) -> str:
    logging.getLogger("somebody").warning("they said {all}")
    return "fine"
"""
MANIFEST = """
name: crew
allow_imports: [{module}]
agents:
  boom:
    type: callback
    callback: "{module}:boom"
    crash_on: [{crash_on}]
    triggers:
      - {{type: interval, name: tick, every: 3600, prompt: go, immediately: true}}
      - {{type: webhook, name: hook, port: 0, path: /h, secret: {hook}}}
  fine: {{type: callback, callback: "{module}:fine"}}
teams:
  both: {{mode: parallel, members: [boom, fine]}}
  chain: {{mode: sequential, members: [fine, boom]}}
jobs: {{work: {{prompt: go}}}}
mcp_servers:
  - {{url: "http://127.0.0.1:1/x", enabled: false, headers: {{Authorization: "Bearer {header}"}}}}
  - {{command: "true", enabled: false, env: {{TOOL_TOKEN: {tool}}}}}
supervision: {{intensity: {{limit: {limit}, period: 60s}}, backoff: {{min: 1ms, max: 2ms}}}}
"""


@pytest.fixture
def file(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest whose secrets are in every exception."""
    return made(tmp_path, request, monkeypatch)


def made(
    folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, crash_on: str = "", limit: int = 3
) -> Path:
    module = f"secretive_{abs(hash(request.node.nodeid))}"
    known = " ".join(value for name, value in CANARIES.items() if name != "url")
    text = FUNCTIONS.format(all=known, evil=EVIL, url=CANARIES["url"])
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    written = folder / "agents.yml"
    written.write_text(MANIFEST.format(module=module, crash_on=crash_on, limit=limit, **CANARIES), encoding="utf-8")
    monkeypatch.setenv("SOME_TOKEN", CANARIES["env"])
    return written


def check(*texts: str) -> None:
    for text in texts:
        assert [value for value in CANARIES.values() if value in text] == [], text
        assert "\x1b[2J" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "FILE", "boom", "x"], 1),
        (["run", "FILE", "chain", "x"], 1),
        (["run", "FILE", "both", "x"], 0),
        (["run", "FILE", "both", "x", "--json"], 0),
        (["job", "FILE", "both", "work", "--json"], 0),
        (["run", "FILE", "boom", "x", "--debug"], 1),
        (["run", "FILE", "fine", "x", "--debug"], 0),
        (["list", "FILE", "--json"], 0),
        (["validate", "FILE"], 0),
        (["graph", "FILE"], 0),
    ],
)
def test_no_command_tells_a_secret(program: Call, file: Path, words: list[str], code: int) -> None:
    done = program(*[file if word == "FILE" else word for word in words])

    assert done.code == code, done.err
    check(done.out, done.err)
    if words[-1] == "x" or "--debug" in words:
        assert ("ValueError" in done.err) == ("fine" not in words)


def test_a_chat_tells_no_secret(cli: Call, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
    done = cli("chat", file, "boom", "--json")

    check(done.out, done.err)
    assert MASK in json.loads(done.out)["error"]


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_what_ends_a_watched_pool_is_told_without_its_secrets(
    cli: Call, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    done = cli("watch", made(tmp_path, request, monkeypatch, '"builtins:ValueError"', 0), *debug)

    assert done.code == ExitCode.GAVE_UP
    check(done.out, done.err)
    assert [line for line in done.err.splitlines() if line.startswith("second line")] == []


async def test_top_shows_the_last_failure_without_secrets_on_one_line(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = made(tmp_path, request, monkeypatch, '"builtins:ValueError"')
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path)])
    manifest = load_manifest(file)
    redact.begin()
    redact.learn(secrets_in(manifest))
    tables: Tables = {}
    path = tmp_path / "pool.sock"
    async with open_app(manifest, has_triggers=False) as app, serve_monitor(app.pool, path):
        with pytest.raises(ValueError, match="canary"):
            await app.pool["boom"].run("x")
        await follow(path, tables.update, once=True)
    failures = [actor["last_failure"] for actor in document(tables)["actors"] if actor["name"] == "boom"]

    assert len(failures) == 1
    assert MASK in failures[0]
    assert "\n" not in failures[0]
    check(*failures)


async def test_a_watched_webhook_tells_no_secret_and_top_neither(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, program: Call
) -> None:
    file = made(tmp_path, request, monkeypatch, '"builtins:ValueError"', 100)
    process = await start_program("watch", file, "--json")
    assert process.stderr is not None
    lines: list[bytes] = []
    async with asyncio.timeout(60):
        while b"restarted" not in (line := await process.stderr.readline()):
            assert line
            lines.append(line)
        seen = await asyncio.to_thread(program, "top", "--config", file, "--once", "--json")
        process.terminate()
        out, err = await process.communicate()

    assert seen.code == ExitCode.OK, seen.err
    assert "last_failure" in seen.out
    check(seen.out, out.decode(), err.decode(), b"".join(lines).decode())


# -- what is hidden -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pass@host/x and //u@h", f"http://{MASK}@host/x and //{MASK}@h"),
        ("GET /x?api_key=abc&b=1", f"GET /x?api_key={MASK}&b=1"),
        ("authorization: Bearer abc.def-123=", f"authorization: Bearer {MASK}"),
        ("key sk-proj-0123456789 is wrong", f"key {MASK} is wrong"),
        ("no secret: a token of 5 tokens, basic idea", "no secret: a token of 5 tokens, basic idea"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert Redaction()(text) == shown


def test_what_is_known_is_hidden_with_its_parts_the_longest_first() -> None:
    hide = Redaction()
    hide.begin({"MY_TOKEN": "abcd-efgh", "PATH": "/usr/bin", "SHORT_KEY": "x", "DB_DSN": "postgres://me:hunter22@h/d"})
    hide.learn(["Bearer abcd-efgh-ijkl"])

    assert hide("abcd-efgh-ijkl abcd-efgh x /usr/bin hunter22") == f"{MASK} {MASK} x /usr/bin {MASK}"


def test_the_beginning_of_a_secret_where_a_text_was_cut_is_hidden() -> None:
    hide = Redaction()
    hide.begin({"A_KEY": "abcdefgh"})

    assert hide("it was abcde… and ab…") == f"it was {MASK}… and ab…"


ODD = "Pa\"ss\\w0rd'/+=&%é <\n>"


@pytest.mark.parametrize(
    "form",
    [
        repr(ODD)[1:-1],
        repr(ODD.encode())[2:-1],
        json.dumps(ODD)[1:-1],
        json.dumps(ODD, ensure_ascii=False)[1:-1],
        html.escape(ODD),
        quote(ODD),
        re.sub("%..", lambda found: found[0].lower(), quote(ODD, safe="")),
        quote_plus(ODD),
        f"{repr(ODD)[1:16]}…",
    ],
)
def test_a_secret_is_hidden_however_it_is_written(form: str) -> None:
    hide = Redaction()
    hide.learn([ODD])

    assert hide(f"it was {form}").rstrip("…") == f"it was {MASK}"


@given(st.binary(max_size=7), st.binary(max_size=7), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_a_secret_is_hidden_inside_of_base64(before: bytes, after: bytes, encode: Callable[[bytes], bytes]) -> None:
    secret = "s3cret-s3cret-s3cret"
    hide = Redaction()
    hide.learn([secret])

    text = hide(encode(before + secret.encode() + after).decode())

    assert MASK in text
    assert len(text) <= len(MASK) + (len(before) + len(after)) * 4 / 3 + 10


def test_hiding_takes_no_longer_for_evil_texts() -> None:
    hide = Redaction()
    hide.begin({"A_KEY": "a" * 40})
    for evil in ("/" * 100_000, "//a" * 30_000, "sk-" * 30_000, "bearer " * 15_000, "?key=" * 20_000):
        assert len(hide(evil)) <= len(evil) * 2


def test_a_stream_writes_no_secret_and_is_otherwise_the_one_behind_it() -> None:
    behind = io.StringIO()
    stream = RedactedStream(behind)

    assert stream.write("see http://a:b@c") == 16
    assert behind.getvalue() == f"see http://{MASK}@c"
    assert stream.getvalue() == behind.getvalue()


def test_a_line_stays_one_line() -> None:
    assert one_line("a\n\x1b[2Jb\r\u202ec") == "a [2Jbc"


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        ("postgresql://db.example.org/app", False),
        ("postgresql+asyncpg://ada@db/app", False),
        ("sqlite:///h.db", False),
        ("postgresql://ada:hunter22@db/app", True),
        ("postgresql://db/app?password=hunter22", True),
    ],
)
def test_the_address_of_a_database_is_a_secret_only_if_it_holds_one(url: str, is_secret: bool) -> None:
    kind = "sqlite" if url.startswith("sqlite") else "postgres"
    manifest = parse_manifest(f"storage: {{type: {kind}, url: '{url}'}}")

    assert list(secrets_in(manifest)) == ([url] if is_secret else [])
