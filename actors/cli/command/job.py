"""`understage job FILE NODE JOB`: have a node do a job of the manifest once."""

from typing import Annotated

import typer

from actors.cli.option import AsJson, ManifestFile, complete_job, complete_node


def job(
    file: ManifestFile,
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="Agent or team that does it.", autocompletion=complete_node)
    ],
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job of the manifest.", autocompletion=complete_job)],
    model: Annotated[str | None, typer.Option("--model", help="Model of every agent, such as openai:gpt-4.1.")] = None,
    as_json: AsJson = False,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="S", help="Seconds the job may take.")] = None,
) -> int:
    """Have an agent or a team do a job of the manifest once.

    The answer goes to standard output, everything else to standard error.
    """
    from actors.cli.run_once import JobOnce

    return JobOnce(file, node, model=model, timeout=timeout, job=job).run(as_json=as_json)
