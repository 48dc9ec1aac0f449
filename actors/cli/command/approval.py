"""`understage approvals FILE`, `approve` and `deny`: decide about tool calls of a running pool."""

from typing import Annotated

import typer

from actors.cli.option import AsJson, ManifestFile
from actors.cli.output import table, write

Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `approvals` shows it.")]
Call = Annotated[str | None, typer.Argument(metavar="[CALL]", help="Id of the call; by default all of the run.")]


def approvals(file: ManifestFile, as_json: AsJson = False) -> None:
    """Show the tool calls of a running pool that wait for approval."""
    import msgspec

    from actors.cli.approval_request import ApprovalAsk, ask_pool

    calls = ask_pool(file, ApprovalAsk("list"))
    if as_json:
        write(msgspec.json.encode(calls).decode())
        return
    rows = [(one.run_id, one.actor, one.tool_call_id, f"{one.tool_name}({one.arguments})") for one in calls]
    write(table(("run", "agent", "call", "tool"), rows) if rows else "no tool call waits for approval")


def approve(file: ManifestFile, run: Run, call: Call = None) -> None:
    """Let a parked run of a running pool make its tool call."""
    from actors.cli.approval_request import ApprovalAsk, ask_pool

    ask_pool(file, ApprovalAsk("approve", run, call))


def deny(
    file: ManifestFile,
    run: Run,
    call: Call = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What the model is told.")] = "",
) -> None:
    """Refuse a tool call of a parked run of a running pool."""
    from actors.cli.approval_request import ApprovalAsk, ask_pool

    ask_pool(file, ApprovalAsk("deny", run, call, reason))
