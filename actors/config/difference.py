"""What has changed between two manifests, node by node: the decision behind a reload."""

from actors.config.agent import AgentSpec
from actors.config.field_type import named_types
from actors.config.manifest import Manifest
from actors.config.node import NodeSpec
from actors.config.response import ResponseSpec

_BESIDE = frozenset({"connections", "triggers", "mailbox"})
"""Keys of a node that can change without the node."""
_BESIDE_AGENTS = _BESIDE | {"supervision"}


def unchanged_nodes(old: Manifest, new: Manifest) -> frozenset[str]:
    """Return the names of the nodes that both manifests have, and that would be built alike; pure.

    The nodes that a node names (members, connection targets, workers, picker, validator) do not count, nor do its
    connections, triggers and mailbox, nor the supervision of an agent. Code behind an import string is not compared.
    """
    pairs = {name: (old.node(name), new.node(name)) for name in new.nodes.keys() & old.nodes.keys()}
    return frozenset(
        name
        for name, (before, after) in pairs.items()
        if _are_alike(before, after) and _around(old, before) == _around(new, after)
    )


def _are_alike(before: NodeSpec, after: NodeSpec) -> bool:
    if type(before) is not type(after):
        return False
    beside = _BESIDE_AGENTS if isinstance(before, AgentSpec) else _BESIDE
    mine, theirs = vars(before), vars(after)
    return mine == theirs or all(mine[key] == theirs[key] for key in mine if key not in beside)


def _around(manifest: Manifest, node: NodeSpec) -> tuple[object, ...]:
    """Return what a node is built from that does not stand in the node."""
    # Prompts and knowledge are files below the root, so the same text in another folder is another node.
    place = manifest.root if isinstance(node, AgentSpec) and _has_files(node) else None
    return _responses(manifest, node), manifest.mcp_servers, place


def _has_files(agent: AgentSpec) -> bool:
    prompts = (*agent.system_prompt, *agent.instructions, *agent.user_prompts)
    return agent.knowledge is not None or any(prompt.file is not None for prompt in prompts)


def _responses(manifest: Manifest, node: object) -> dict[str, ResponseSpec]:
    """Return the responses that an agent's answer is made of, also those that fields of responses name."""
    output = node.output_type if isinstance(node, AgentSpec) else None
    pending = [output] if isinstance(output, str) else []
    if isinstance(output, ResponseSpec):
        pending = _names(output)
    found: dict[str, ResponseSpec] = {}
    while pending:
        name = pending.pop()
        if name in manifest.responses and name not in found:
            found[name] = manifest.responses[name]
            pending += _names(found[name])
    return found


def _names(response: ResponseSpec) -> list[str]:
    return [name for field in response.fields.values() for name in named_types(field.type)]
