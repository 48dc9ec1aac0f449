"""What a supervisor knows about a child before it starts it."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Literal, Self, cast, get_args

from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.directive import Directive
from actors.supervision.option import OptionCheck, SupervisionOptionError, shown, unknown
from actors.supervision.strategies import AutoShutdown, Restart, Strategy

Shutdown = float | Literal["kill", "infinity"]
"""Seconds a child gets to stop before it is killed; or kill it at once; or wait for as long as it takes."""
ChildKind = Literal["worker", "supervisor"]
"""Whether a child is the root of a subtree."""

DEFAULT_SHUTDOWN: Final = 5.0
"""Seconds a worker gets to stop."""

_DERIVED: Final[Any] = None
"""Default of fields that are never None once the spec exists: `__post_init__` fills them in."""


class ChildSpecError(SupervisionOptionError):
    """Raised when a child spec is impossible, before any child of that supervisor starts."""

    def __init__(self, child: str, field: str, problem: str) -> None:
        super().__init__(child, field, problem)
        self.child = child
        """Name of the child; what stands in its place when it has no name."""

    @staticmethod
    def _call(subject: str) -> str:
        return f"child {subject!r}"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, stop and restart one child.

    A plain spec is permanent, as in Erlang; nodes make theirs transient, so that one that was stopped stays stopped.

    Example:
        >>> spec = ChildSpec(list, args=[(1, 2)], name="numbers", restart="transient")
        >>> spec.name, spec.restart, spec.shutdown
        ('numbers', 'transient', 5.0)

    Raises:
        ChildSpecError: A field has an impossible value; names the child and the field.
    """

    actor_class: Callable[..., Any]
    """Actor class, or a callable that makes the actor object; called again for each incarnation."""
    _: KW_ONLY
    args: tuple[Any, ...] = field(default=(), hash=False, repr=False)
    """Positional arguments of `actor_class`; not part of the repr, they may be large or secret."""
    kwargs: Mapping[str, Any] = field(default=_DERIVED, hash=False, repr=False)
    """Keyword arguments of `actor_class`; not part of the repr either."""
    name: str = _DERIVED
    """Unique name under its supervisor; by default the class name in snake case."""
    restart: Restart = "permanent"
    """Whether it comes back after it ended."""
    shutdown: Shutdown = _DERIVED
    """Time it gets to stop; by default 5 seconds, for a supervisor "infinity", so that its subtree is waited for."""
    significant: bool = False
    """Whether its own end counts for the supervisor's automatic shutdown."""
    kind: ChildKind = _DERIVED
    """By default what the class says in its attribute `child_kind`, otherwise "worker"."""
    mailbox: Any = field(default=None, hash=False)
    """Mailbox of the actor; `None` leaves it to the class."""
    start_timeout: float | None = None
    """Seconds for its start; `None` leaves it to the system."""
    backoff: Backoff | None = None
    """Delays of its restarts; `None` leaves it to the supervisor."""
    crash_on: tuple[type[BaseException], ...] = ()
    """Exceptions that are a crash for a child whose failed runs otherwise are values."""
    on_exception: Mapping[type[BaseException], Directive] = field(default=_DERIVED, hash=False)
    """Exception types to restart (the default), resume, stop or escalate; see `actors.supervision.directive`."""

    def __post_init__(self) -> None:
        """Fill in the derived fields and refuse impossible ones."""
        _check_start(OptionCheck(partial(ChildSpecError, _spoken(self.actor_class, self.name))), self.actor_class)
        _set(self, name=_checked_name(self.actor_class, self.name))
        check = OptionCheck(partial(ChildSpecError, self.name))
        _set(self, kind=_checked_kind(check, self.actor_class, self.kind))
        check.choice("restart", self.restart, get_args(Restart))
        check.flag("significant", self.significant)
        if self.significant and self.restart == "permanent":
            check.refuse("significant", "a permanent child always restarts; make it transient or not significant")
        _set(self, shutdown=_checked_shutdown(check, self.shutdown, self.kind))
        _set(self, args=check.arguments("args", self.args), kwargs=check.keywords("kwargs", self.kwargs))
        if self.mailbox is not None and not isinstance(self.mailbox, MailboxConfig):
            check.refuse(
                "mailbox", f"mailbox={shown(self.mailbox)} must be a MailboxConfig, or None for the class's own"
            )
        _check_options(check, self.start_timeout, self.backoff, self.crash_on)
        _set(self, on_exception=_checked_directives(check, self.on_exception))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Return the spec with these fields.

        Raises:
            ChildSpecError: A field is unknown (the nearest known one is named), missing or impossible.
        """
        spoken = _spoken(mapping.get("actor_class"), mapping.get("name"))
        check = OptionCheck(partial(ChildSpecError, spoken))
        known = [known.name for known in fields(cls)]
        for key in cast("Mapping[object, Any]", mapping):
            if key not in known:
                check.refuse(key if isinstance(key, str) else shown(key), unknown("field", key, known))
        if "actor_class" not in mapping:
            check.refuse(
                "actor_class", "actor_class is missing; give the actor class or a callable that makes the actor"
            )
        return cls(**mapping)

    def without_arguments(self) -> Self:
        """Return the spec without what it was started with.

        For temporary children, which never restart: a supervisor need not keep their arguments in memory.
        """
        start = cast("Callable[..., Any]", _made_by(self.actor_class))
        return replace(self, actor_class=start, args=(), kwargs={}, mailbox=None)


def check_specs(
    specs: Iterable[ChildSpec | Mapping[str, Any]],
    *,
    strategy: Strategy = "one_for_one",
    auto_shutdown: AutoShutdown = "never",
) -> tuple[ChildSpec, ...]:
    """Return the specs of one supervisor, all of them checked, before any child starts.

    Raises:
        ChildSpecError: A child is impossible, two have the same name, or one does not fit `auto_shutdown`.
        SupervisionOptionError: `strategy` or `auto_shutdown` is unknown.
    """
    check = OptionCheck(partial(SupervisionOptionError, "supervisor"))
    check.choice("strategy", strategy, get_args(Strategy))
    check.choice("auto_shutdown", auto_shutdown, get_args(AutoShutdown))
    if not _is_list(specs):
        check.refuse("children", f"children={shown(specs)} must be a list of ChildSpec")
    checked: dict[str, ChildSpec] = {}
    for position, spec in enumerate(specs):
        child = check_spec(spec, auto_shutdown=auto_shutdown, position=position)
        if child.name in checked:
            problem = f"duplicate name; child {position} of the list needs another one (name=...)"
            raise ChildSpecError(child.name, "name", problem)
        checked[child.name] = child
    return tuple(checked.values())


def check_spec(
    spec: ChildSpec | Mapping[str, Any], *, auto_shutdown: AutoShutdown = "never", position: int = 0
) -> ChildSpec:
    """Return one spec, checked against the supervisor that is going to start it.

    Args:
        spec: The spec, or a mapping of its fields.
        auto_shutdown: The supervisor's setting.
        position: Where the spec stands in its list, for the error.

    Raises:
        ChildSpecError: It is no spec, or a significant child of a supervisor that never shuts down by itself.
    """
    given = ChildSpec.from_mapping(spec) if isinstance(spec, Mapping) else _checked_spec(spec, position)
    if given.significant and auto_shutdown == "never":
        problem = (
            "significant=True has no effect with auto_shutdown='never'; use 'any_significant' or 'all_significant'"
        )
        raise ChildSpecError(given.name, "significant", problem)
    return given


def _is_list(specs: object) -> bool:
    return isinstance(specs, Iterable) and not isinstance(specs, Mapping | str)


def _checked_spec(spec: object, position: int) -> ChildSpec:
    if not isinstance(spec, ChildSpec):
        problem = f"{shown(spec)} is not a ChildSpec; wrap it as ChildSpec(...)"
        raise ChildSpecError(str(position), "children", problem)
    return spec


def _set(spec: ChildSpec, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(spec, name, value)


def _spoken(start: object, name: object) -> str:
    """Return what an error calls a child whose name is not settled yet."""
    return name if isinstance(name, str) else shown(start)


def _checked_name(start: object, name: object) -> str:
    if name is None:
        name = _derived_name(start)
    if not isinstance(name, str) or not name.strip():
        raise ChildSpecError(shown(start), "name", f"name={shown(name)} must be a text that is not empty")
    return name


def _derived_name(start: object) -> str:
    name = getattr(_made_by(start), "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ChildSpecError(shown(start), "name", "it has no class name to be called by; give name=...")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _checked_kind(check: OptionCheck, start: object, kind: object) -> object:
    kind = getattr(_made_by(start), "child_kind", "worker") if kind is None else kind
    check.choice("kind", kind, get_args(ChildKind))
    return kind


def _made_by(start: object) -> object:
    """Return the class or function behind a partial."""
    inner: object = getattr(start, "func", None)
    return inner if isinstance(start, partial) else start


def _check_start(check: OptionCheck, start: object) -> None:
    if not callable(start):
        check.refuse("actor_class", f"actor_class={shown(start)} cannot be called; give the class, not an actor")
    if inspect.iscoroutinefunction(start):
        check.refuse("actor_class", f"actor_class={shown(start)} is async; make the actor there and await in on_start")


def _checked_shutdown(check: OptionCheck, shutdown: object, kind: ChildKind) -> Shutdown:
    if shutdown is None:
        return "infinity" if kind == "supervisor" else DEFAULT_SHUTDOWN
    if shutdown == "kill":
        return "kill"
    if shutdown == "infinity":
        return "infinity"
    if isinstance(shutdown, str):
        problem = unknown("shutdown", shutdown, ("kill", "infinity"))
        check.refuse("shutdown", f"{problem}; or give seconds as a number")
    if shutdown == float("inf"):
        check.refuse("shutdown", f"shutdown={shown(shutdown)} must be finite; use 'infinity' to wait without limit")
    return check.number("shutdown", shutdown)


def _check_options(check: OptionCheck, start_timeout: object, backoff: object, crash_on: object) -> None:
    if start_timeout is not None:
        check.number("start_timeout", start_timeout, above=0.0)
    if backoff is not None and not isinstance(backoff, Backoff):
        check.refuse("backoff", f"backoff={shown(backoff)} must be a Backoff, or None for the supervisor's")
    if not isinstance(crash_on, tuple):
        check.refuse("crash_on", f"crash_on={shown(crash_on)} must be a tuple of exception types")
    for kind in cast("tuple[object, ...]", crash_on):
        if not _is_exception_type(kind):
            check.refuse("crash_on", f"crash_on holds {shown(kind)}, which is no exception type")


def _is_exception_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _checked_directives(check: OptionCheck, directives: object) -> Mapping[Any, Directive]:
    """Return the mapping as one of its own that cannot change; none for `None`."""
    if directives is None:
        return MappingProxyType({})
    if not isinstance(directives, Mapping):
        check.refuse("on_exception", f"on_exception={shown(directives)} must map exception types to directives")
    given = dict(cast("Mapping[object, Directive]", directives))
    for kind, directive in given.items():
        if not _is_exception_type(kind):
            check.refuse("on_exception", f"on_exception has the key {shown(kind)}, which is no exception type")
        if directive not in get_args(Directive):
            problem = unknown("directive", directive, get_args(Directive))
            check.refuse("on_exception", f"{problem} for {shown(kind)}; known are {', '.join(get_args(Directive))}")
    return MappingProxyType(given)
