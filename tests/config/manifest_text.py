"""What the tests of this room share: reading a text, and the problems that it gives."""

from collections.abc import Mapping
from textwrap import dedent

from actors.config.load import parse_manifest
from actors.config.manifest import Manifest
from actors.config.yaml.problem import InvalidManifestError, Problem

CONTRACT_EXAMPLE = """
agents:
  reader:
    model: test
    description: Reads changed notes
    triggers:
      - {type: file, name: notes, paths: ["notes/**/*.md"], extensions: [".md"], debounce: 300}
      - {type: webhook, name: hook, port: 8100, path: /in, enabled: false}
    connections:
      - type: node
        name: writers
        wait_for_completion: false
        filter_condition: {type: word_match, words: [note]}
  first: {model: test}
  second: {model: test}
teams:
  writers: {mode: sequential, members: [first, second], shared_prompt: Be brief.}
jobs:
  digest: {prompt: Sum up the notes, required_return_type: "builtins:str"}
responses:
  Digest:
    response_schema:
      type: inline
      fields: {text: {type: str, description: The summary}}
"""


def read(text: str, env: Mapping[str, str] | None = None) -> Manifest:
    """Read a manifest without the process's environment."""
    return parse_manifest(dedent(text), name="m.yml", env=env or {})


def problems_of(text: str, env: Mapping[str, str] | None = None) -> list[Problem]:
    """Return what is wrong with a manifest; nothing when it is sound."""
    try:
        read(text, env)
    except InvalidManifestError as error:
        return list(error.problems)
    return []


def problem_of(text: str, env: Mapping[str, str] | None = None) -> Problem:
    """Return the only thing that is wrong with a manifest."""
    (problem,) = problems_of(text, env)
    return problem


def agent_problem(keys: str, more: str = "") -> Problem:
    """Return the only thing that is wrong with an agent written in flow style."""
    return problem_of(f"agents: {{a: {{{keys}}}}}\n{more}")
