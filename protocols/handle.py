"""`Named`: what has a name. `Receives`: what takes messages. `Handle`: what lives in one process."""

from typing import ClassVar, NoReturn, Protocol, Self, SupportsIndex, TypeVar

M = TypeVar("M", contravariant=True)
R = TypeVar("R", covariant=True)


class Named(Protocol):
    """Anything with a name, such as the source of a connection."""

    @property
    def name(self) -> str:
        """Unique where names must be (in a pool, among the members of a team)."""
        ...


class Receives(Protocol[M, R]):
    """Any actor that takes messages of one type, and replies by another: ``ActorRef[Receives[Order, Bill]]``."""

    def on_receive(self, message: M, /) -> R:
        """Handle a message and return the reply."""
        ...


class Handle:
    """Copies as itself, and does not travel to another process. `dir` lists what users may use of it."""

    __slots__ = ()
    _of_the_engine: ClassVar[str] = ""
    """Names of attributes by which the parts of Understage work with each other."""

    def __dir__(self) -> list[str]:
        hidden = {name for kind in type(self).__mro__ for name in vars(kind).get("_of_the_engine", "").split()}
        return [name for name in super().__dir__() if name not in hidden]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} lives in this process and cannot be pickled; send what it is made of, or its name. "
            "A copy is the same object; `agent.variant()` makes another agent"
        )
