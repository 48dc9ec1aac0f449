"""`Model`: a model of a server of one's own, such as Ollama, vLLM, LM Studio or a gateway."""

import asyncio
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from pydantic_ai import models
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings, merge_model_settings

from actors.models.resolve import at_endpoint
from actors.runtime.clock import running_loop
from protocols.checks import ADDRESS, is_a
from protocols.errors import ConfigError


class Model(WrapperModel):
    """A model behind an address. It is made on the event loop of the run, and shares its client with all on that loop.

    Example:
        ``Agent("local", model=Model("openai-chat:llama3.2", base_url="http://localhost:11434/v1"))``
    """

    def __init__(  # pyright: ignore[reportMissingSuperCall] - the wrapped model is made later, for each event loop
        self,
        name: str,
        *,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        key_variable: str | None = None,
    ) -> None:
        """Name a model. Nothing is connected.

        Args:
            name: ``provider:name``; ``openai-chat`` is the provider for servers that speak chat completions.
            base_url: address of the API, ``http://`` or ``https://``, usually with ``/v1`` at its end.
            headers: further HTTP headers of each request.
            key_variable: environment variable with the key. Without one, no key is sent: the key of the provider
                itself is none for another server.

        Raises:
            ConfigError: the address is not one, or holds a password; or a header is not text.
        """
        models.Model.__init__(self)
        if not is_a(name, str) or not name.partition(":")[2]:
            raise ConfigError(f"model {name!r} needs a provider, as in 'openai-chat:{name}'")
        if not ADDRESS.accepts(base_url):
            raise ConfigError(f"model {name!r}: base_url must be {ADDRESS.expected}")
        headers = {} if headers is None else headers
        if not is_a(headers, Mapping) or not all(
            is_a(one, str) and one.isprintable() for pair in headers.items() for one in pair
        ):
            raise ConfigError(f"model {name!r}: the headers must be a mapping of printable texts")
        self._given = name, base_url.rstrip("/"), key_variable
        self._headers = dict(headers)
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, models.Model] = WeakKeyDictionary()

    @property
    def wrapped(self) -> models.Model:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride] - made later
        """The model itself.

        Raises:
            MissingKeyError: the environment lacks the key.
            ModelError: the provider takes no address.
        """
        loop = running_loop()
        if loop is None:
            return at_endpoint(*self._given)
        if loop not in self._made:
            self._made[loop] = at_endpoint(*self._given)
        return self._made[loop]

    @property
    def settings(self) -> ModelSettings | None:
        """The headers, as a setting of each request."""
        if not self._headers:
            return self.wrapped.settings
        return merge_model_settings(self.wrapped.settings, ModelSettings(extra_headers=self._headers))

    def __repr__(self) -> str:
        return f"Model({self._given[0]!r}, base_url={self._given[1]!r})"
