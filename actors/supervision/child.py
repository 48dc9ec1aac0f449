"""`ChildSpec`: how a supervisor starts, stops and restarts one child."""

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
from actors.supervision.errors import SupervisionOptionError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.strategies import AutoShutdown, Restart, Strategy
from protocols.checks import (
    FLAG,
    NAME,
    POSITIVE,
    Check,
    Checks,
    check_fields,
    check_values,
    choice,
    finite,
    instance_of,
)
from protocols.errors import nearest, safe_repr
from protocols.keywords import named_keywords

Shutdown = float | Literal["kill", "infinity"]
"""Seconds a child gets to stop before it is killed; "kill" to kill it at once; "infinity" to wait without limit."""
ChildKind = Literal["worker", "supervisor"]
"""A supervisor is the root of a subtree, a worker is not."""

DEFAULT_SHUTDOWN: Final = 5.0
"""Seconds a worker gets to stop."""

_DERIVED: Final[Any] = None
"""Default of fields that `__post_init__` fills in, so that they are never None in a spec."""


class ChildSpecError(SupervisionOptionError):
    """Raised when a child spec is impossible, before any child of that supervisor starts."""

    _whose = "child {!r}"

    def __init__(self, child: str, field: str, problem: str) -> None:
        super().__init__(child, field, problem)
        self.child = child
        """Name of the child, or a text that stands for a child without a name."""


@named_keywords
@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, stop and restart one child.

    A plain spec is permanent, as in Erlang. Nodes make transient specs, so that a stopped node stays stopped.

    Example:
        >>> spec = ChildSpec(list, args=[(1, 2)], name="numbers", restart="transient")
        >>> spec.name, spec.restart, spec.shutdown
        ('numbers', 'transient', 5.0)

    Raises:
        ChildSpecError: a field has an impossible value; the error names the child and the field.
    """

    actor_class: Callable[..., Any]
    """Actor class, or a callable that makes the actor object. It is called for each incarnation."""
    args: tuple[Any, ...] = field(default=(), hash=False, repr=False)
    """Positional arguments of `actor_class`. The repr leaves them out, because they may be large or secret."""
    _: KW_ONLY
    kwargs: Mapping[str, Any] = field(default=_DERIVED, hash=False, repr=False)
    """Keyword arguments of `actor_class`. The repr leaves them out."""
    name: str = _DERIVED
    """Unique name under its supervisor; by default the class name in snake case."""
    restart: Restart = "permanent"
    """Whether the child restarts after it ended."""
    shutdown: Shutdown = _DERIVED
    """Time to stop; by default 5 seconds, and "infinity" for a supervisor, because its subtree has to stop first."""
    significant: bool = False
    """True if the child's own end counts for the supervisor's automatic shutdown."""
    kind: ChildKind = _DERIVED
    """By default the class attribute `child_kind`, or else "worker"."""
    mailbox: Any = field(default=None, hash=False)
    """Mailbox of the actor; `None` takes the mailbox of the class."""
    start_timeout: float | None = None
    """Seconds for the start; `None` takes the limit of the system."""
    backoff: Backoff | None = None
    """Delays of restarts; `None` takes those of the supervisor."""
    crash_on: tuple[type[BaseException], ...] = ()
    """Exceptions that are a crash although failed runs of this child are values."""
    on_exception: Mapping[type[BaseException], Directive] = field(default=_DERIVED, hash=False)
    """Directive by exception type; the default is restart. See `actors.supervision.directive`."""

    def __post_init__(self) -> None:
        """Fill in the derived fields and refuse impossible ones."""
        start = _maker(self.actor_class)
        given: Any = self  # the derived fields may be None still
        if given.name is None:
            _set(self, name=_snake_case(getattr(start, "__name__", None)))
        if given.kind is None:
            _set(self, kind=getattr(start, "child_kind", "worker"))
        if given.shutdown is None:
            _set(self, shutdown="infinity" if self.kind == "supervisor" else DEFAULT_SHUTDOWN)
        refused = partial(ChildSpecError, self.name if NAME.accepts(self.name) else safe_repr(self.actor_class))
        check_fields(_CHECKS, self, refused, never_none=_NEVER_NONE)
        if self.significant and self.restart == "permanent":
            raise refused(
                field="significant", problem="a permanent child always restarts; make it transient or not significant"
            )
        maps = {field: MappingProxyType(dict(getattr(self, field) or {})) for field in ("kwargs", "on_exception")}
        _set(self, args=tuple(self.args), **maps)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Return the spec with these fields.

        Raises:
            ChildSpecError: a field is unknown, missing or impossible. The error suggests the nearest known field.
        """
        name = mapping.get("name")
        refused = partial(ChildSpecError, name if isinstance(name, str) else safe_repr(mapping.get("actor_class")))
        known = [known.name for known in fields(cls)]
        for key in cast("Mapping[object, Any]", mapping):
            if key not in known:
                word = key if isinstance(key, str) else safe_repr(key)
                raise refused(word, f"unknown field {safe_repr(key)}{nearest(word, known)}")
        if "actor_class" not in mapping:
            raise refused(
                field="actor_class", problem="actor_class is missing; give the actor class or a callable that makes it"
            )
        return cls(**mapping)

    def without_arguments(self) -> Self:
        """Return the spec without its arguments, for temporary children: they never restart."""
        start = _maker(self.actor_class)
        if start is self.actor_class and not (self.args or self.kwargs or self.mailbox is not None):
            return self
        return replace(self, actor_class=start, args=(), kwargs={}, mailbox=None)


def check_specs(
    specs: Iterable[ChildSpec | Mapping[str, Any]],
    *,
    strategy: Strategy = "one_for_one",
    auto_shutdown: AutoShutdown = "never",
) -> tuple[ChildSpec, ...]:
    """Check all specs of one supervisor before any child starts, and return them.

    Raises:
        ChildSpecError: a child is impossible, two children have the same name, or one does not fit `auto_shutdown`.
        SupervisionOptionError: `strategy` or `auto_shutdown` is unknown.
    """
    check_supervisor(children=specs, strategy=strategy, auto_shutdown=auto_shutdown)
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
    """Check one spec against the supervisor that starts it, and return the spec.

    Args:
        spec: the spec, or a mapping of its fields.
        auto_shutdown: the supervisor's setting.
        position: position of the spec in its list, for the error.

    Raises:
        ChildSpecError: it is not a spec, or a significant child of a supervisor that never shuts down by itself.
    """
    given = ChildSpec.from_mapping(spec) if isinstance(spec, Mapping) else spec
    if not isinstance(cast("object", given), ChildSpec):
        problem = f"{safe_repr(spec)} is not a ChildSpec; wrap it as ChildSpec(...)"
        raise ChildSpecError(str(position), "children", problem)
    if given.significant and auto_shutdown == "never":
        problem = (
            "significant=True has no effect with auto_shutdown='never'; use 'any_significant' or 'all_significant'"
        )
        raise ChildSpecError(given.name, "significant", problem)
    return given


def _set(spec: ChildSpec, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(spec, name, value)


def _snake_case(name: object) -> str | None:
    """Return the name of a class in snake case; None for the name of a lambda, or for none at all."""
    if not isinstance(name, str) or not name.isidentifier():
        return None
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _maker(start: Any) -> Any:
    """Return the class or function behind a partial."""
    return start.func if isinstance(start, partial) else start


def check_supervisor(**options: object) -> None:
    """Refuse an impossible option of a supervisor with a `SupervisionOptionError`."""
    check_values(_SUPERVISOR, options, partial(SupervisionOptionError, "supervisor"), never_none=_REQUIRED)


def _is_mapping(value: object, is_key: Callable[[Any], bool], is_item: Callable[[Any], bool]) -> bool:
    if not isinstance(value, Mapping):
        return False
    items = cast("Mapping[object, object]", value).items()
    return all(is_key(key) and is_item(item) for key, item in items)


def _is_exception_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


_AMOUNT: Final = finite(0)
_DIRECTIVE: Final = choice(*get_args(Directive))
_NEVER_NONE: Final = ("actor_class", "name", "restart", "shutdown", "significant", "kind", "args", "crash_on")
_CHECKS: Final[Checks] = {
    "actor_class": Check(
        "a class, or a plain function that makes the actor (await in on_start)",
        lambda start: callable(start) and not inspect.iscoroutinefunction(start),
    ),
    "name": Check("a text that is not empty; give name=... if the class has no name", NAME.accepts),
    "kind": choice(*get_args(ChildKind)),
    "restart": choice(*get_args(Restart)),
    "significant": FLAG,
    "shutdown": Check(
        "a finite number of seconds >= 0, 'kill', or 'infinity' for no limit",
        lambda value: _AMOUNT.accepts(value) or (isinstance(value, str) and value in ("kill", "infinity")),
    ),
    "args": instance_of("a tuple of arguments, such as (value,)", tuple, list),
    "kwargs": Check(
        "a mapping of argument names to values",
        lambda value: _is_mapping(value, lambda key: isinstance(key, str), lambda _: True),
    ),
    "mailbox": instance_of("a MailboxConfig, or None for the class's own", MailboxConfig),
    "start_timeout": POSITIVE,
    "backoff": instance_of("a Backoff, or None for the supervisor's", Backoff),
    "crash_on": Check(
        "a tuple of exception types",
        lambda value: isinstance(value, tuple) and all(map(_is_exception_type, cast("tuple[object, ...]", value))),
    ),
    "on_exception": Check(
        f"a mapping of exception types to {_DIRECTIVE.expected}",
        lambda value: _is_mapping(value, _is_exception_type, _DIRECTIVE.accepts),
    ),
}
_SUPERVISOR: Final[Checks] = {
    "strategy": choice(*get_args(Strategy)),
    "auto_shutdown": choice(*get_args(AutoShutdown)),
    "children": Check(
        "a list of ChildSpec", lambda value: isinstance(value, Iterable) and not isinstance(value, Mapping | str)
    ),
    "intensity": instance_of("a RestartIntensity", RestartIntensity),
    "backoff": instance_of("a Backoff, or None to restart at once", Backoff),
}
_REQUIRED: Final = _SUPERVISOR.keys() - {"backoff"}
