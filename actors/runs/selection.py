"""A node chooses among options: the question, the reading of its answer, and the refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar, cast

from actors.runs.handle import NodeHandle
from actors.runs.run_cost import cost_of_team
from protocols.errors import PickError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Pick:
    """Answer of a model that chooses exactly one option."""

    selection: str
    """Name of the option."""
    reason: str = ""
    """Reason of the choice."""


@dataclass(frozen=True)
class MultiPick:
    """Answer of a model that chooses several options, in the order of their use."""

    selections: list[str] = field(default_factory=list[str])
    """Names of the options."""
    reason: str = ""
    """Reason of the choice."""


@dataclass(frozen=True)
class Selection(Generic[T]):
    """The chosen options, in the order of the answer."""

    selections: tuple[T, ...]
    """The options themselves."""
    reason: str = ""
    """Reason of the choice; empty if the node gives none."""

    @property
    def selection(self) -> T:
        """The first option; `pick` chooses only one."""
        return self.selections[0]


@dataclass(frozen=True)
class SelectionRules(Generic[T]):
    """The options, the allowed number of choices, and the words of the errors."""

    options: Sequence[T]
    who: str
    """The choosing node, in errors."""
    noun: str = "option"
    """Kind of the options, in errors."""
    least: int = 1
    most: int | None = None
    """Greatest number of choices; None for all."""

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PickError: there are no options, two have the same label, or the numbers do not fit.
        """
        labels = self.labels
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if not labels:
            self._refuse("has nothing to choose from; pass at least one option")
        if twice is not None:
            self._refuse(f"has two options that are called {twice!r}; give one of them another name")
        if self.least < 0 or (self.most is not None and (self.most < 1 or self.most < self.least)):
            self._refuse(f"cannot choose at least {self.least} and at most {self.most}")

    @property
    def labels(self) -> list[str]:
        """Labels of the options, in their order."""
        return [label_of(option) for option in self.options]

    def question(self, task: str) -> str:
        """Return the question to the choosing node."""
        options = "\n".join(
            f"- {label}{_described(option)}" for label, option in zip(self.labels, self.options, strict=True)
        )
        return (
            f"Task:\n{task}\n\nOptions:\n{options}\n\nChoose {self._many()} for this task. Answer with the exact names."
        )

    def _many(self) -> str:
        if self.most == self.least:
            return f"exactly {self.least} option{'s' if self.least > 1 else ''}"
        least = "at least one option" if self.least == 1 else f"at least {self.least} options"
        return least if self.most is None else f"{least} and at most {self.most}"

    def read(self, content: object) -> Selection[T]:
        """Return the chosen options.

        Raises:
            PickError: an option is unknown or chosen twice, or there are too few or too many.
        """
        labels, reason = self._answered(content)
        self._check_number(labels)
        known = dict(zip(self.labels, self.options, strict=True))
        for label in labels:
            if label not in known:
                self._refuse(f"chose {label!r}, which is no {self.noun}{nearest(label, known)}")
        return Selection(tuple(known[label] for label in labels), reason)

    def _answered(self, content: object) -> tuple[list[str], str]:
        """Read labels and reason out of an answer of any shape."""
        chosen, reason = content, ""
        for key in ("selections", "selection"):
            value = _part(content, key)
            if value is not None:
                chosen, reason = value, str(_part(content, "reason") or "")
                break
        items = cast("Sequence[object]", chosen) if isinstance(chosen, list | tuple) else (chosen,)
        if not all(isinstance(item, str | NodeHandle) or any(item is one for one in self.options) for item in items):
            self._refuse(f"answered {content!r}; it must answer with names of {self.noun}s")
        return [label_of(item).strip() for item in items], reason

    def _check_number(self, labels: Sequence[str]) -> None:
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            self._refuse(f"chose {twice!r} twice")
        if not labels and self.least == 1 and self.most is None:
            self._refuse("chose nobody; at least one is needed")
        if len(labels) < self.least:
            self._refuse(f"chose too few: {len(labels)} instead of {self.least}: {list(labels)!r}")
        if self.most is not None and len(labels) > self.most:
            self._refuse(f"chose too many: {len(labels)} instead of {self.most}: {list(labels)!r}")

    def _refuse(self, problem: str) -> NoReturn:
        raise PickError(f"{self.who} {problem}")


async def choose(
    node: NodeHandle[Any, Any], rules: SelectionRules[T], task: object, prompt: str | None, *, kind: type[Any] = Pick
) -> Selection[T]:
    """Have a node choose. The exchange stays out of its history."""
    text = rules.question(str(task)) if prompt is None else prompt
    options = {"output_type": kind, "store_history": False}
    answer = await node.ask(node.request((text,), options, cost=cost_of_team.get()))
    try:
        return rules.read(answer.content)
    except PickError as error:
        error.node = node.name
        raise


def label_of(option: Any) -> str:
    """Return the label of an option: a text itself, the name of a class or a node, else the `repr`."""
    if isinstance(option, str):
        return option
    if isinstance(option, NodeHandle):
        return str(option.name)
    return option.__name__ if isinstance(option, type) else repr(option)


def _described(option: Any) -> str:
    if isinstance(option, NodeHandle):
        return f": {' '.join((option.description or option.display_name).split())}"
    text = (option.__doc__ or "").strip().partition("\n")[0] if isinstance(option, type) else ""
    return f": {text}" if text else ""


def _part(content: object, key: str) -> object:
    if isinstance(content, Mapping):
        return cast("Mapping[str, object]", content).get(key)
    return getattr(content, key, None)
