"""`understage approvals FILE`, `approve` and `deny`: decide about tool calls of a running pool."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson, ManifestFile
from actors.cli.output import table, write
from protocols.plain_text import one_line

if TYPE_CHECKING:
    from actors.cli.feed_client import Tables

Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `approvals` shows it.")]
Call = Annotated[str | None, typer.Argument(metavar="[CALL]", help="Id of the call; by default all of the run.")]
_LONGEST = 1_000
"""Characters of a reason."""


def approvals(file: ManifestFile, as_json: AsJson = False) -> None:
    """Show the tool calls of a running pool that wait for approval."""
    import asyncio

    import msgspec

    from actors.cli.feed_client import follow, socket_path

    def show(tables: "Tables") -> None:
        calls = list(tables["approvals"].values())
        if as_json:
            write(msgspec.json.encode([_for_programs(call) for call in calls]).decode())
            return
        rows = [(*map(one_line, (call["run"], call["node"], call["call"])), _call(call)) for call in calls]
        write(table(("run", "agent", "call", "tool"), rows) if rows else "no tool call waits for approval")

    asyncio.run(follow(socket_path(file), show, once=True))


def _call(call: dict[str, Any]) -> str:
    return one_line(f"{call['tool']}({call['arguments']})")


def _for_programs(call: dict[str, Any]) -> dict[str, Any]:
    names = {"time": "since", "actor": "node", "run_id": "run", "tool_call_id": "call", "tool_name": "tool"}
    return {name: call[known] for name, known in names.items()} | {"arguments": call["arguments"]}


def approve(file: ManifestFile, run: Run, call: Call = None) -> None:
    """Let a parked run of a running pool make its tool call."""
    _decide(file, "approve", run, call)


def deny(
    file: ManifestFile,
    run: Run,
    call: Call = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What the model is told.")] = "",
) -> None:
    """Refuse a tool call of a parked run of a running pool."""
    if len(reason) > _LONGEST:
        fail(f"the reason is too long; it has {_LONGEST} characters at most")
    _decide(file, "deny", run, call, reason=reason)


def _decide(file: ManifestFile, verdict: str, run: str, call: str | None, **body: str) -> None:
    import asyncio

    from actors.cli.feed_client import act, socket_path

    named = [run] if call is None else [run, call]
    path = "/".join(quote(name, safe="", errors="replace") for name in ("approvals", *named, verdict))
    asyncio.run(act(socket_path(file), path, **body))
