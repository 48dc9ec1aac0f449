"""`understage chat FILE NODE`: talk to a node."""

from typing import Annotated

import typer

from actors.cli.option import AsJson, ManifestFile, complete_node


def chat(
    file: ManifestFile,
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="Agent or team to talk to.", autocompletion=complete_node)
    ],
    model: Annotated[str | None, typer.Option("--model", help="Model of every agent, such as openai:gpt-4.1.")] = None,
    as_json: AsJson = False,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="S", help="Seconds an answer may take.")] = None,
) -> int:
    r"""Talk to an agent or a team; it remembers what was said.

    A line is a prompt. One that ends in \ continues in the next; three double quotes begin and end a block of lines.
    /quit ends, /reset makes it forget, /stats shows numbers, // begins a prompt with /. Ctrl+C cancels an answer.
    Prompts may be piped in.
    """
    from actors.cli.chat import Chat

    return Chat(file, node, model=model, timeout=timeout, as_json=as_json).run()
