"""The only place where models are made: from a name to the offline model, the test model, or one of a provider.

All models of one provider on one event loop share one client. Making a client costs some 25 ms, and its connections
belong to one loop.
"""

import asyncio
import copy
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pydantic_ai
from pydantic_ai.exceptions import ModelHTTPError, UserError
from pydantic_ai.models import Model, infer_model, known_model_names
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from actors.models.byte_limit import limit_provider
from actors.models.policy import ModelPolicy
from actors.models.policy_model import FallbackPolicy, PolicyModel
from actors.runtime.clock import running_loop
from protocols.errors import MissingExtraError, MissingKeyError, ModelError, UnknownModelError, nearest

pydantic_ai.BANNER_ENABLED = False  # a library prints no greeting on its user's terminal

MODEL_VARIABLE = "UNDERSTAGE_MODEL"
"""Environment variable that names the default model."""
DEFAULT_PROVIDER = "openai"
"""Provider of names without one, such as ``gpt-4o``."""

_NO_KEY = "none"
"""Sent to a server that needs no key, because the libraries of some providers insist on one."""
_OFFLINE = "offline"
_OPENAI_NAME = re.compile(r"(?:chatgpt|codex|davinci|gpt|o\d)(?:[-.\d]|$)")
_SETTING = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_EXTRA = re.compile(r"pydantic-ai-slim\[([\w-]+)\]")

_Providers = dict[tuple[object, ...], Provider[Any]]
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Providers] = WeakKeyDictionary()
_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None]] = WeakKeyDictionary()


def default_model_name() -> str:
    """Return the name of the default model: that of `MODEL_VARIABLE` in the environment, else ``offline``."""
    return os.environ.get(MODEL_VARIABLE, "").strip() or _OFFLINE


def resolve_model(
    model: Model | str | None = None, *, node: str | None = None, fallbacks: Sequence[Model | str] = ()
) -> Model:
    """Return the model for a name. A model is returned as it is.

    ``offline`` and ``test`` need nothing. ``provider:name`` is any model of a provider. A name without a provider is
    that of the provider known to have it, and of `DEFAULT_PROVIDER` for names like those of OpenAI. Call this on the
    event loop that will use the model: called elsewhere, the model gets a client of its own.

    Args:
        model: the name, or the model itself; None for the default model.
        node: name of the node, for errors.
        fallbacks: models to try, in order, when `model` fails.

    Raises:
        UnknownModelError: no provider and no built-in model has this name; offers the nearest.
        MissingKeyError: the environment lacks the key or address of the provider; names the variable.
        MissingExtraError: the library of the provider is not installed; names the extra.
        ModelError: the provider refuses for another reason.
    """
    if not isinstance(model, Model):
        name = (default_model_name() if model is None else model).strip()
        model = _built_in(name) or _made(_qualified(name, node), node, _shared_provider)
    made = _lenient(model)
    if not fallbacks:
        return made
    return FallbackModel(made, *(resolve_model(one, node=node) for one in fallbacks))


def guarded(model: Model, policy: ModelPolicy) -> Model:
    """Return a model whose requests follow a policy. Each model of several has attempts of its own."""
    if isinstance(model, PolicyModel | FallbackPolicy):
        return model
    if isinstance(model, FallbackModel):
        inner = copy.copy(model)
        inner.models = [guarded(one, policy) for one in model.models]
        return FallbackPolicy(inner, policy)
    limit_provider(model.provider)
    return PolicyModel(model, policy)


def _built_in(name: str) -> Model | None:
    if name == _OFFLINE:
        from actors.models.offline.model import OfflineModel  # takes a tenth of the import of an agent

        return OfflineModel()
    if name == "test":
        from pydantic_ai.models.test import TestModel  # loads what only tests need

        return TestModel()
    return None


def _lenient(model: Model) -> Model:
    """Return a model that reads servers which speak the API of OpenAI only nearly. Other kinds stay as they are."""
    openai: Any = sys.modules.get("pydantic_ai.models.openai")
    if openai is None or type(model) is not openai.OpenAIChatModel:
        return model
    from actors.models.openai_chat import LenientChatModel  # needs the optional library `openai`

    return LenientChatModel.of(cast("Any", model))


def is_model_name(name: str) -> bool:
    """Return True for ``provider:name``."""
    provider, colon, rest = name.partition(":")
    return bool(colon and rest) and any(known.startswith(f"{provider}:") for known in known_model_names())


def advise(error: Exception, model: Model) -> None:
    """Add to the error of a request what the user can do about it."""
    if not isinstance(error, ModelHTTPError) or error.status_code != HTTPStatus.NOT_FOUND:
        return
    while isinstance(model, WrapperModel):
        model = model.wrapped
    host = urlsplit(model.base_url or "").hostname
    if type(model).__name__ == "OpenAIResponsesModel" and host != "api.openai.com":
        name = model.model_name
        error.add_note(f"{host} may know only chat completions, not the responses API: use 'openai-chat:{name}'")


async def close_models() -> None:
    """Close the shared clients of the running event loop. A later request opens them again.

    The end of the loop closes them as well, if it ends its generators, as `asyncio.run` does.
    """
    keeper = _keepers.pop(asyncio.get_running_loop(), None)
    if keeper is not None:
        await keeper.aclose()


async def _kept(loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
    """Close the shared clients of a loop at the end of this generator."""
    try:
        yield
    finally:
        for provider in _shared.pop(loop, {}).values():
            async with provider:
                pass


def _qualified(name: str, node: str | None) -> str:
    provider, colon, rest = name.partition(":")
    if colon and rest:
        try:
            infer_provider_class(provider)
        except ValueError:
            raise _unknown(name, node) from None
        except ImportError as error:
            raise _missing_extra(name, node, error) from error
        return name
    if not colon:
        matches = [known for known in known_model_names() if known.endswith(f":{name}") and "/" not in known]
        if f"{DEFAULT_PROVIDER}:{name}" in matches or _OPENAI_NAME.match(name):
            return f"{DEFAULT_PROVIDER}:{name}"
        if matches:
            return matches[0]
    raise _unknown(name, node)


def _made(name: str, node: str | None, provider: Callable[[str], Provider[Any]]) -> Model:
    try:
        return infer_model(name, provider)
    except ImportError as error:
        raise _missing_extra(name, node, error) from error
    except UserError as error:
        raise _refused(name, node, error) from error


def at_endpoint(name: str, base_url: str, key_variable: str | None) -> Model:
    """Return the model of a server of the user's own; see `actors.models.endpoint.Model`."""
    secret = _NO_KEY if key_variable is None else os.environ.get(key_variable, "").strip()
    if not secret:
        raise MissingKeyError(
            f"model {name!r} at {base_url} is not set up: set the environment variable {key_variable}"
        )

    def make(provider: str) -> Provider[Any]:
        kind = cast("Callable[..., Provider[Any]]", infer_provider_class(provider))
        return kind(base_url=base_url, api_key=secret)

    try:
        return _lenient(_made(name, None, lambda one: _shared_as((one, base_url, hash(secret)), make, one)))
    except ValueError:
        raise _unknown(name, None) from None
    except TypeError as error:
        provider, _, rest = name.partition(":")
        text = f"model {name!r}: provider {provider!r} takes no address; use 'openai-chat:{rest}'"
        raise ModelError(text) from error


def _shared_provider(provider: str) -> Provider[Any]:
    kind: object = provider if "/" in provider else infer_provider_class(provider)  # of a gateway: the upstream
    # A changed key or address in the environment needs a new client. The hash stores none of them.
    settings = sorted(pair for pair in os.environ.items() if pair[0].endswith(("_KEY", "_URL", "_ENDPOINT")))
    return _shared_as((kind, hash(tuple(settings))), infer_provider, provider)


def _shared_as(key: tuple[object, ...], make: Callable[[str], Provider[Any]], provider: str) -> Provider[Any]:
    loop = running_loop()
    if loop is None:
        return limit_provider(make(provider))
    for closed in [one for one in _keepers if one.is_closed()]:
        del _keepers[closed]  # it holds its loop, as a provider does, so the weak key alone would keep both
        _shared.pop(closed, None)
    if loop not in _shared:
        _shared[loop], _keepers[loop] = {}, _kept(loop)
        with suppress(StopIteration):
            anext(_keepers[loop]).send(None)  # begun at once, so that the loop knows of it
    providers = _shared[loop]
    if key not in providers:
        providers[key] = limit_provider(make(provider))
    return providers[key]


def _refused(name: str, node: str | None, error: UserError) -> ModelError:
    variable = _SETTING.search(str(error))
    if variable is None:
        return ModelError(f"{_subject(name, node)} cannot be made: {error}", node=node)
    text = f"{_subject(name, node)} is not set up: set the environment variable {variable[0]}"
    return MissingKeyError(text, node=node)


def _subject(name: str, node: str | None) -> str:
    return f"node {node!r}: model {name!r}" if node else f"model {name!r}"


def _unknown(name: str, node: str | None) -> UnknownModelError:
    known = [one for one in known_model_names() if "/" not in one]
    parts = [one.partition(":") for one in known if ":" in one]
    rest = name.partition(":")[2]
    corrected = [f"{provider}:{rest}" for provider, _, _ in parts if rest]
    hint = nearest(name, dict.fromkeys([_OFFLINE, *known, *(bare for _, _, bare in parts), *corrected]))
    return UnknownModelError(f"{_subject(name, node)} is unknown{hint}", node=node)


def _missing_extra(name: str, node: str | None, error: ImportError) -> MissingExtraError:
    found = _EXTRA.search(str(error))
    extra = found[1] if found else name.partition(":")[0]
    text = f'{_subject(name, node)} needs a library that is not installed: pip install "understage[{extra}]"'
    return MissingExtraError(text, node=node)
