"""The manifest: everything that one YAML file says, checked."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, PrivateAttr, SecretStr

from actors.config.agent import AgentSpec
from actors.config.cluster import ClusterSpec
from actors.config.defaults import DefaultsSpec, with_defaults
from actors.config.import_path import ImportPrefix
from actors.config.job import JobSpec
from actors.config.journal import JournalSpec
from actors.config.mcp_server import McpServerSpec
from actors.config.node import BudgetSpec
from actors.config.response import ResponseSpec
from actors.config.section import Section
from actors.config.storage import StorageSpec
from actors.config.supervision import Supervision
from actors.config.team import TeamSpec
from actors.config.tracing import TracingSpec
from actors.config.trigger import WebhookTrigger
from actors.config.value import Name, Text
from actors.config.yaml.locate import Source
from actors.config.yaml.tree import Table, as_table, merge

_NAMED = frozenset({"agents", "teams", "jobs"})
_SHORTCUTS = ("model", "limits")


class Manifest(Section):
    """A pool of agents as data. Read one with `load_manifest`, which also finds wrong references."""

    retired: ClassVar[Mapping[str, str]] = {
        "observability": "use 'tracing'; logs are configured by the program",
        "conversion": "give files and texts to a run directly",
        "prompts": "use 'system_prompt' of the agents",
        "resources": "use 'knowledge' of the agents",
        "pool_server": "embed the pool into a web service",
        "ui": "use the command line",
        "commands": "use the command line",
        "file_agents": "use 'agents'",
        "acp_agents": "use 'agents'",
        "agui_agents": "use 'agents'",
    }

    name: Name | None = None
    """Name of the pool."""
    description: Text | None = None
    """What the pool is for."""
    agents: dict[str, AgentSpec] = Field(default_factory=dict)
    """Agents by name."""
    teams: dict[str, TeamSpec] = Field(default_factory=dict)
    """Teams by name; names are unique among agents and teams."""
    responses: dict[str, ResponseSpec] = Field(default_factory=dict)
    """Types of structured answers by name."""
    jobs: dict[str, JobSpec] = Field(default_factory=dict)
    """Jobs by name."""
    storage: StorageSpec | None = None
    """Where history is kept; nowhere by default."""
    journal: JournalSpec | None = None
    """Where durable nodes keep what they have accepted; `true` if a node of the manifest is durable."""
    tracing: TracingSpec | None = None
    """Where the spans of runs are sent; nowhere by default."""
    cluster: ClusterSpec | None = None
    """Which other processes have the same pool; none by default."""
    budget: BudgetSpec | None = None
    """What all runs of the pool together may use."""
    mcp_servers: tuple[McpServerSpec, ...] = ()
    """Servers whose tools every agent may use."""
    defaults: DefaultsSpec = Field(default_factory=DefaultsSpec)
    """Values for nodes that do not set their own; `model` and `limits` may also be written at the top."""
    supervision: Supervision | None = None
    """How the nodes of the pool are restarted."""
    allow_imports: tuple[ImportPrefix, ...] = ()
    """Packages or modules whose code the manifest may name; nothing by default."""
    _files: tuple[Path, ...] = PrivateAttr(default=())
    _root: Path | None = PrivateAttr(default=None)
    _source: Source = PrivateAttr(default_factory=Source)

    def read_from(self, files: Sequence[Path], source: Source) -> Self:
        """Return the manifest with the files that it was read from, and with the places of its values."""
        copy = self.model_copy()
        copy._source = source  # noqa: SLF001  # a copy of this very object
        copy._files = tuple(files)  # noqa: SLF001
        copy._root = files[0].resolve().parent if files else None  # noqa: SLF001  # now: a link may change
        return copy

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that was read, the manifest itself first, links not followed; empty for a text."""
        return self._files

    @property
    def source(self) -> Source:
        """Where its values are written; empty for a manifest that was made in Python."""
        return self._source

    @property
    def root(self) -> Path | None:
        """Folder of the manifest, to which its paths are relative; None for a text."""
        return self._root

    @property
    def nodes(self) -> dict[str, AgentSpec | TeamSpec]:
        """Agents and teams by name, agents first."""
        return {**self.agents, **self.teams}

    @property
    def build_order(self) -> tuple[str, ...]:
        """Names of all teams, each after the teams that it needs: members, picker, validator.

        A loaded manifest has no circles, so an order always exists. It depends only on the manifest.
        """
        needs = {name: [part for part in team.parts if part in self.teams] for name, team in self.teams.items()}
        return tuple(TopologicalSorter(needs).static_order())

    @property
    def effective_journal(self) -> JournalSpec | None:
        """The journal, also one that is not written because `durable: true` stands for it; None for none."""
        if self.journal is not None and not self.journal.enabled:
            return None
        if self.is_clustered and self.cluster is not None and self.cluster.url is not None:
            return (self.journal or JournalSpec()).model_copy(update={"url": self.cluster.url, "path": None})
        if self.journal is not None:
            return self.journal
        return next((JournalSpec() for name in self.nodes if self.is_durable(name)), None)

    @property
    def is_clustered(self) -> bool:
        """True if other processes may have the same pool."""
        return self.cluster is not None and self.cluster.enabled

    def is_durable(self, name: str) -> bool:
        """Return True if an agent or team keeps what it has accepted."""
        durable = self.node(name).durable
        return durable is not None and durable.enabled

    def is_spread(self, name: str) -> bool:
        """Return True if what an agent or team of a cluster keeps is handled by all processes."""
        is_known = self.is_clustered and name in self.nodes and self.is_durable(name)
        return is_known and self.node(name).placement == "anywhere"

    def node(self, name: str) -> AgentSpec | TeamSpec:
        """Return an agent or team with the defaults filled in.

        Raises:
            KeyError: The name is unknown.
        """
        found: AgentSpec | TeamSpec | None = self.agents.get(name)
        return with_defaults(self.teams[name] if found is None else found, self.defaults)

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Repeat each key as `name`, and move `model` and `limits` into `defaults`."""
        table = as_table(data)
        if table is None:
            return data
        for section in _NAMED & table.keys():
            table[section] = _named(table[section])
        for key in _SHORTCUTS:
            if key in table:
                given = table.get("defaults")
                defaults = Table(table.mark) if given is None else as_table(given)
                if defaults is not None and key not in defaults:
                    defaults.copy_key(key, table)
                    defaults.outside.add(key)
                    table["defaults"] = defaults
                if defaults is None or key in defaults.outside:
                    del table[key]
        return table

    @classmethod
    def _advice(cls, key: str) -> str:
        if key in _SHORTCUTS:  # otherwise it would have been moved
            return f"{key!r} is written here and in 'defaults'; write one of them"
        return super()._advice(key)

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        places: dict[tuple[int, str], str] = {}
        for node in self.nodes.values():
            for trigger in node.triggers:
                if isinstance(trigger, WebhookTrigger) and trigger.enabled and trigger.port:
                    place, owner = (trigger.port, trigger.path), f"{node.name}.{trigger.name}"
                    first = places.setdefault(place, owner)
                    if first != owner:
                        yield (
                            "agents",
                            f"webhooks {first!r} and {owner!r} have the same port {place[0]} and path {place[1]!r}",
                        )


def check_durable(manifest: Manifest) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield key path and text for each durable node that has no journal, or whose mailbox loses what it accepts."""
    for name, own in manifest.nodes.items():
        mailbox = manifest.node(name).mailbox
        if not manifest.is_durable(name):
            continue
        if manifest.journal is not None and not manifest.journal.enabled:
            yield ("journal",), f"is false, but {name!r} is durable"
        if mailbox is not None and mailbox.overflow not in ("reject", "wait"):
            place = ("agents" if name in manifest.agents else "teams", name) if own.mailbox else ("defaults",)
            text = f"{mailbox.overflow!r} loses messages that {name!r}, which is durable, must keep: 'reject' or 'wait'"
            yield (*place, "mailbox", "overflow"), text


def check_cluster(manifest: Manifest) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield key path and text for what several processes cannot share."""
    cluster, journal = manifest.cluster, manifest.journal
    if cluster is None or not cluster.enabled:
        return
    if journal is not None and journal.path is not None:
        yield ("journal", "path"), "is a file, which the processes of a cluster cannot share: give 'cluster' a 'url'"
    elif journal is not None and not journal.enabled:
        yield ("journal",), "is false, but the processes of a cluster share one"
    elif cluster.url is None and (journal is None or journal.url is None):
        yield ("cluster",), "needs the 'url' of a database: postgresql://user:password@host/name"
    for name in manifest.nodes:
        if manifest.is_spread(name) and manifest.node(name).lasts:
            place = ("agents" if name in manifest.agents else "teams", name, "placement")
            text = "needs 'session: false' and a larger 'max_concurrency', or 'placement: single'"
            yield place, f"is 'anywhere', but {name!r} remembers or works on one run at a time: it {text}"


def secrets_in(manifest: Manifest) -> Iterator[str]:
    """Yield every value that is declared to be secret, at any depth of the manifest."""
    waiting: list[object] = [manifest]
    while waiting:
        value = waiting.pop()
        match value:
            case SecretStr() if not _is_open_address(value.get_secret_value()):
                yield value.get_secret_value()
            case BaseModel():
                waiting.extend(value.__dict__.values())
            case Mapping():
                waiting.extend(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            case list() | tuple():
                waiting.extend(value)  # pyright: ignore[reportUnknownArgumentType]
            case _:
                pass


def _is_open_address(secret: str) -> bool:
    """Return True for the address of a database that holds neither a password nor options."""
    try:
        address = urlsplit(secret)
    except ValueError:
        return False
    is_database = address.scheme.partition("+")[0] in ("postgres", "postgresql", "sqlite")
    return is_database and address.password is None and not address.query


def _named(section: object) -> object:
    """Return a section whose maps repeat their keys as `name`; a map may stand under two keys, by an alias."""
    items = as_table(section)
    for name, item in list(items.items() if items is not None else ()):
        inner = as_table(item)
        if items is not None and inner is not None and "name" not in inner:
            items[name] = named = merge(Table(), inner)
            named["name"] = name
            named.written["name"] = ""
    return section if items is None else items
