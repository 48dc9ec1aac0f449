"""What all agents know of one endpoint: whether it works, whether it wants a pause, and how often it is asked again."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary

from pydantic_ai.models import Model

from actors.models.policy import ModelPolicy
from actors.models.rate_limiter import RateLimiter

_MOST: Final = 256
"""Endpoints that are known on one event loop; the one that was asked for longest ago is forgotten."""
_MOST_RETRIES: Final = 10.0
"""Retries at once that do not count as load, so that one bad moment is survived."""

_known: WeakKeyDictionary[asyncio.AbstractEventLoop, "OrderedDict[object, EndpointState]"] = WeakKeyDictionary()


class EndpointState:
    """A circuit breaker, a queue and a budget of retries. Belongs to one event loop, and changes only between waits."""

    def __init__(self) -> None:
        self.open_until: float | None = None
        """When a request may be made again of an endpoint that failed too often in a row; None for one that works."""
        self.is_probed = False
        """True while one request finds out whether it works."""
        self.limiter = RateLimiter()
        self.retries = _MOST_RETRIES
        """Requests that may be repeated."""
        self._failures = 0

    def answered(self, share: float) -> bool:
        """Note that the endpoint works, and allow a share of a retry. Return True if it was left alone until now."""
        was_open, self.open_until = self.open_until is not None, None
        self._failures = 0
        self.is_probed = False
        self.retries = min(_MOST_RETRIES, self.retries + share)
        return was_open

    def failed(self, now: float, policy: ModelPolicy) -> bool:
        """Note that the endpoint failed. Return True if it is left alone from now on."""
        self._failures += 1
        if not self.is_probed and (policy.breaker_after is None or self._failures < policy.breaker_after):
            return False
        self.is_probed = False
        self.open_until = now + policy.probe_after
        return True

    def refuses(self, now: float) -> float | None:
        """Return the seconds until the next probe. None makes the request of the caller the probe."""
        if self.open_until is not None and (self.is_probed or now < self.open_until):
            return max(0.0, self.open_until - now)
        self.is_probed = True
        return None

    def allows_retry(self) -> bool:
        """Take one retry from the budget; False if it is empty."""
        if self.retries < 1:
            return False
        self.retries -= 1
        return True


def state_of(model: Model) -> EndpointState:
    """Return the state of the endpoint and the key of a model; a new one for a model without an address."""
    with suppress(NotImplementedError, RuntimeError):
        if model.base_url:
            secret = hash(str(getattr(getattr(model, "client", None), "api_key", "")))
            key = model.system, model.base_url, secret
            states = _known.setdefault(asyncio.get_running_loop(), OrderedDict())
            found = states.pop(key, None) or EndpointState()
            states[key] = found
            if len(states) > _MOST:
                states.popitem(last=False)
            return found
    return EndpointState()
