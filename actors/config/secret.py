"""The secrets that a manifest holds, so that whoever writes text for people can keep them out of it."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, SecretStr

from actors.config.manifest import Manifest


def secrets_in(manifest: Manifest) -> Iterator[str]:
    """Yield every value that is declared to be secret, wherever in the manifest it stands."""
    waiting: list[object] = [manifest]
    while waiting:
        value = waiting.pop()
        match value:
            case SecretStr():
                yield value.get_secret_value()
            case BaseModel():
                waiting.extend(value.__dict__.values())
            case Mapping():
                waiting.extend(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            case list() | tuple():
                waiting.extend(value)  # pyright: ignore[reportUnknownArgumentType]
            case _:
                pass
