"""What starts a run from outside: files, webhooks, the clock, e-mail, other connections."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from ipaddress import ip_address
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, ClassVar, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from actors.config.condition import Condition
from actors.config.cron_line import CronLine
from actors.config.duration import Milliseconds, PositiveSeconds, Seconds
from actors.config.read_context import complain
from actors.config.reference import NodeName
from actors.config.section import Section
from actors.config.template import TEXT_PLACE, FilePromptTemplate, PromptTemplate, SessionTemplate
from actors.config.value import ONE_OR_MANY, Flag, Name, Port, Positive, QueueSpec, Secret, Text
from actors.config.yaml.tree import Table, as_table
from protocols.triggers import TriggerConfigError

GROUP = "understage.triggers"
"""Group of the entry points with which installed packages bring types of triggers."""


class TriggerSpec(Section):
    """What every trigger of a manifest has. A further type of trigger is a subclass with a `type` and keys of its own.

    See docs/add-a-trigger.md for a complete example.
    """

    name: Name
    """Name of the trigger, unique within its node."""
    enabled: Flag = True
    """Whether it is started."""
    template: PromptTemplate | None = None
    """Prompt of the run; the event's own text by default."""
    session: SessionTemplate | None = None
    """Session of the run, as in `{metadata[user]}`, or `{payload[user]}` of a webhook; none by default."""
    include_metadata: Flag = True
    """Add the event's metadata to the prompt."""
    include_timestamp: Flag = True
    """Add the time of the event to the prompt."""
    concurrency: Positive = 1
    """How many of its runs may go on at once."""
    queue: QueueSpec = Field(default_factory=QueueSpec)
    """How many events may wait."""
    backoff: Seconds = 0.2
    """First delay before it is restarted after a failure, in seconds; it grows."""
    type: Any  # a `Literal` in each subclass
    """Kind of trigger."""


def _pattern(value: str) -> str:
    windows = PureWindowsPath(value)
    parts = {*PurePosixPath(value).parts, *windows.parts}
    leaves = value.startswith(("~", "/", "\\")) or windows.drive or ".." in parts
    if leaves or not value.strip() or "\0" in value:
        complain("expected a pattern below the root: not absolute, without '..', '~' and drive")
    return value


def _extension(value: str) -> str:
    text = value.strip().lstrip("*").lower()
    if not text.strip(".") or any(sign in text for sign in "/\\*?\0"):
        complain("expected a file extension such as '.md'")
    return text if text.startswith(".") else f".{text}"


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A file or glob pattern that cannot leave its root."""
Patterns = Annotated[tuple[Pattern, ...], ONE_OR_MANY]
"""Several patterns."""
Extensions = Annotated[tuple[Annotated[str, AfterValidator(_extension)], ...], ONE_OR_MANY]
"""File extensions, in lower case with their dot."""


class FileTrigger(TriggerSpec):
    """Starts a run when files change; changes that come together make one run."""

    spellings: ClassVar[Mapping[str, str]] = {"ignore": "ignore_paths"}

    type: Literal["file"]
    paths: Patterns = Field(min_length=1)
    """Files, folders or patterns such as `docs/**/*.md`, below `root`."""
    root: Text | None = None
    """Folder that nothing can leave; the manifest's own by default."""
    extensions: Extensions = ()
    """Only files with these extensions; all by default."""
    ignore_paths: Patterns = ()
    """Patterns of files that are left out."""
    recursive: Flag = True
    """Whether folders inside a folder count."""
    template: FilePromptTemplate | None = None
    """Prompt of the run; `{text}` is the text of the files that were added or modified. The event's own by default."""
    max_text: Positive = 262_144
    """Bytes of `{text}`, of all files of an event together. A file that does not fit is named in place of its text."""
    debounce: Milliseconds = 1.6
    """Quiet time before a run starts: written in milliseconds, kept in seconds."""

    @property
    def has_text(self) -> bool:
        """True if the prompt holds the text of the files."""
        return self.template is not None and TEXT_PLACE in self.template


def _url_path(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/") or any(sign in value for sign in "?#\\ \0{}"):
        complain("expected a URL path such as '/in', without '..', '?', '#', braces and spaces")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class WebhookTrigger(TriggerSpec):
    """Starts a run for each signed POST."""

    spellings: ClassVar[Mapping[str, str]] = {"secrets": "secret"}

    type: Literal["webhook"]
    port: Port
    """TCP port; 0 takes any free one, and webhooks of one port share a server."""
    path: Annotated[str, AfterValidator(_url_path)]
    """URL path, beginning with `/`."""
    host: Text = "127.0.0.1"
    """Address to listen on."""
    secret: Annotated[tuple[Secret, ...], ONE_OR_MANY] = ()
    """Key of the HMAC-SHA256 signature; several while keys are changed. On loopback it may be left out."""
    insecure: Flag = False
    """Accept requests without a signature on any address: anybody who reaches the port can start runs."""
    max_bytes: Positive = 1_000_000
    """Bound on the body."""
    window: Annotated[PositiveSeconds, Field(le=43_200)] = 300.0
    """How far the timestamp of a request may be off, in seconds; at most 12 hours."""
    timeout: PositiveSeconds = 10.0
    """How long a request may take to arrive, in seconds."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if self.enabled and not (self.secret or self.insecure or _is_loopback(self.host)):
            yield "secret", f"a webhook on {self.host} needs a secret; 'insecure: true' lets anybody start runs"
        if self.secret and self.insecure:
            yield "insecure", "does not go with a secret"


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError):
        complain("expected a time zone such as 'Europe/Berlin' or 'UTC'")
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]
"""Name of a time zone that this machine knows."""


class _ScheduleBase(TriggerSpec):
    prompt: Text
    """Prompt of the run."""
    make_up: Literal["once", "all"] = "once"
    """Without `skip_missed`: whether one run makes up for all that were missed, or one for each, at most 100."""
    jitter: Seconds = 0.0
    """Random delay of up to so many seconds."""


class ScheduleTrigger(_ScheduleBase):
    """Starts a run at the times of a cron line."""

    spellings: ClassVar[Mapping[str, str]] = {"cron": "schedule"}

    type: Literal["time", "schedule"]
    schedule: CronLine
    """Cron line of five or six fields, or a word such as `@daily`."""
    timezone: TimeZone | None = None
    """Time zone of the cron line; the machine's by default."""
    skip_missed: Flag = False
    """Leave out runs that were due while the system was down or busy; otherwise one run makes up for them."""


class IntervalTrigger(_ScheduleBase):
    """Starts a run again and again."""

    spellings: ClassVar[Mapping[str, str]] = {"interval": "every"}

    type: Literal["interval"]
    every: PositiveSeconds
    """Time between the starts of two runs, in seconds."""
    immediately: Flag = False
    """Whether the first run starts at once."""
    skip_missed: Flag = True
    """As in `time`."""


class EmailTrigger(TriggerSpec):
    """Starts a run for each new e-mail of an IMAP folder."""

    spellings: ClassVar[Mapping[str, str]] = {"user": "username"}

    type: Literal["email"]
    host: Text
    """IMAP server."""
    username: Text
    """Account."""
    password: Secret
    """Its password."""
    port: Annotated[Port, Field(ge=1)] = 993
    """TCP port."""
    folder: Text = "INBOX"
    """Folder."""
    ssl: Flag = True
    """Whether the connection is encrypted."""
    check_interval: PositiveSeconds = 60.0
    """Time between two looks, in seconds."""
    mark_seen: Flag = True
    """Mark e-mails as read."""
    filters: dict[str, str] = Field(default_factory=dict)
    """Only e-mails whose `from`, `to`, `subject` or `body` contains the text."""
    max_size: Positive = 1_000_000
    """Larger e-mails are left out, in bytes."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        for key in self.filters:
            if key not in ("from", "to", "subject", "body"):
                yield "filters", f"unknown key {key!r}; known are 'from', 'to', 'subject' and 'body'"


class ConnectionTrigger(TriggerSpec):
    """Starts a run when something happens on a connection of the pool."""

    type: Literal["connection"]
    event: Literal["message_received", "message_processed", "message_forwarded", "queue_filled", "queue_triggered"]
    """What happens."""
    source: NodeName | None = None
    """Only connections from this node."""
    target: NodeName | None = None
    """Only connections to this node."""
    condition: Condition | None = None
    """Only messages for which it is true."""


class FunctionSettings(TriggerSpec):
    """Settings of a trigger whose events come from functions; no manifest has one."""

    name: Name = "events"
    """Name of the trigger, unique within its node."""
    type: Literal["function"] = "function"

    def __init__(self, **settings: Any) -> None:
        """Check the settings.

        Raises:
            TriggerConfigError: A setting is unknown or wrong.
        """
        try:
            super().__init__(**settings)
        except ValidationError as error:
            texts = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise TriggerConfigError(f"events {settings.get('name', 'events')!r}: {'; '.join(texts)}") from error


@cache
def installed_type(name: str) -> Any:
    """Load the type of trigger that an installed package brings under this name; None if there is none.

    Raises:
        ImportError: Its module is missing or cannot be imported.
        AttributeError: Its module does not have it.
    """
    found: Any = None
    for entry in entry_points(group=GROUP, name=name):
        found = entry.load()
    return found


_BuiltIn = FileTrigger | WebhookTrigger | ScheduleTrigger | IntervalTrigger | EmailTrigger | ConnectionTrigger
_NAMES = frozenset(name for spec in get_args(_BuiltIn) for name in get_args(spec.model_fields["type"].annotation))


def _by_type(value: object, built_in: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Read a trigger of an installed type. No package can replace a built-in type."""
    name = value.type if isinstance(value, TriggerSpec) else (as_table(value) or Table()).get("type")
    if not isinstance(name, str) or name in _NAMES:
        return built_in(value)
    try:
        installed = installed_type(name)
    except (ImportError, AttributeError) as error:
        complain(f"the type of trigger {name!r} cannot be loaded: {type(error).__name__}: {error}")
    return built_in(value) if installed is None else installed.spec.model_validate(value, context=info.context)


AnyTriggerSpec = Annotated[_BuiltIn, Field(discriminator="type"), WrapValidator(_by_type)]
"""A trigger, told apart by `type`."""
