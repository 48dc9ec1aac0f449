"""Functions as agents: the argument of the function, where it runs, and the message of its result.

======================================  =======================================================================
annotation of the first parameter       argument
======================================  =======================================================================
``str``, or a method of ``str``         the message as text (JSON for structured values)
``ChatMessage``                         the message
anything else                           the content itself
none                                    the content itself; the combined answer of a team as text
======================================  =======================================================================

Text from a connection of type ``context`` comes before the text of the next message. A further parameter annotated
``RunRequest`` gets the request of the run (run id, options such as ``deps``).
"""

import inspect
from collections.abc import Awaitable, Callable
from operator import attrgetter
from time import perf_counter
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from actors.agents.execution import Execution
from actors.models.budget import draw
from actors.prompts.input_message import is_list
from actors.runs.job import Job
from actors.runs.request import Answer, RunRequest
from actors.runtime.daemon_thread import in_daemon_thread
from actors.runtime.log import warn_once
from protocols.errors import add_note
from protocols.messages import ChatMessage, is_message

Reader = Callable[[ChatMessage[Any]], object]

_PLAIN = frozenset((str, int, float, bool, type(None), list, tuple, dict, ChatMessage))  # never awaited

_LONG = 0.1  # seconds that a plain function may hold the event loop


class Callback(Execution):
    """Answers by a function. With `blocking` a plain function runs in a thread."""

    def __init__(self, function: Callable[..., Any], *, blocking: bool = False) -> None:
        self.function = function
        self._blocking = blocking
        self._read, self._context_name = _parameters(function)
        self._is_simple = not blocking and self._context_name is None

    def answer(self, request: RunRequest, asked: ChatMessage[Any]) -> Answer:
        """Call the function, and return its result as a message; one that has to be awaited later."""
        started = perf_counter()
        if request.options.budget is not None:  # what the function runs draws from it
            draw(request)
        try:
            given = self._read(asked)
            if request.node.notes or (request.kept is not None and request.kept.texts):
                given = _informed(given, request)
            called = self.function(given) if self._is_simple else self._call(given, request)
            if type(called) not in _PLAIN and inspect.isawaitable(called):
                return self._awaited(called, request, asked, started)
        except Exception as error:
            self._note(error)
            raise
        seconds = perf_counter() - started
        if seconds > _LONG:
            warn_once(f"agent {request.node.name!r}: its function holds the event loop; use blocking=True, or async")
        return _answer(called, request, asked, seconds)

    async def _awaited(
        self, called: Awaitable[Any], request: RunRequest, asked: ChatMessage[Any], started: float
    ) -> ChatMessage[Any]:
        try:
            result = await called
        except Exception as error:
            self._note(error)
            raise
        return _answer(result, request, asked, perf_counter() - started)

    def _note(self, error: Exception) -> None:
        add_note(error, f"raised by callback {callback_name(self.function)!r}")

    @property
    def answer_type(self) -> Any:
        """The annotated type of the result."""
        result = _hints(self.function).get("return")
        return None if result is Any else result  # Any is a class

    def answer_problem(self, job: Job[Any], agent: str) -> str | None:
        """Return why the annotated result of the function cannot be what a job requires."""
        wanted, given = job.required_return_type, self.answer_type
        if wanted is str or not inspect.isclass(wanted) or not inspect.isclass(given) or issubclass(given, wanted):
            return None
        return f"it requires {wanted.__name__}, but the function of agent {agent!r} returns {given.__name__}"

    def _call(self, given: object, request: RunRequest) -> Any:
        keywords = {self._context_name: request} if self._context_name is not None else {}
        if self._blocking and not inspect.iscoroutinefunction(self.function):
            return in_daemon_thread(self.function, given, **keywords)
        return self.function(given, **keywords)


def _informed(given: Any, request: RunRequest) -> Any:
    """Put the context of the node before a text, or before the text of a message."""
    text: object = given if type(given) is str else given.content if is_message(given) else given
    if not isinstance(text, str):
        return given
    text = "\n\n".join((*request.node.take_context(request), text))
    return msgspec.structs.replace(given, content=text) if is_message(given) else text


def callback_name(function: Callable[..., Any]) -> str:
    """Return the name of an agent for a function; ``processor`` if the function has no name."""
    name = getattr(function, "__name__", None) or getattr(type(function), "__name__", "")
    return "processor" if not name or name in ("<lambda>", "partial") else name


def _answer(result: Any, request: RunRequest, asked: ChatMessage[Any], seconds: float) -> ChatMessage[Any]:
    options = request.options
    given: dict[str, Any] = {}
    if type(result) is not str and is_message(result):
        message = result
        given = {
            "metadata": message.metadata, "cost_info": message.cost_info, "tool_calls": message.tool_calls,
            "associated_messages": message.associated_messages,
        }  # fmt: skip
        result = message.content
    if options.metadata:
        given["metadata"] = {**given.get("metadata", {}), **options.metadata}
    if options.message_id is not None:
        given["message_id"] = options.message_id
    who, conversation, chain = request.node.name, request.conversation_id, asked.forwarded_from
    if not given:  # nearly always, and a call with ``**`` costs twice as much
        return ChatMessage(result, "assistant", who, conversation, response_time=seconds, forwarded_from=chain)
    return ChatMessage(result, "assistant", who, conversation, response_time=seconds, forwarded_from=chain, **given)


def _parameters(function: Callable[..., Any]) -> tuple[Reader, str | None]:
    if getattr(function, "__objclass__", None) is str:
        return _text, None
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        return _content, None
    hints = _hints(function)
    context = next((p.name for p in parameters[1:] if hints.get(p.name) is RunRequest), None)
    return _reader(hints.get(parameters[0].name)) if parameters else _content, context


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__
    try:
        return get_type_hints(target)
    except Exception:
        return {}


def _reader(annotation: Any) -> Reader:
    if annotation is None:
        return _content
    if annotation is str or set(get_args(annotation)) == {str, NoneType}:
        return _text
    if (get_origin(annotation) or annotation) is ChatMessage:
        return _message
    return _raw


_text: Reader = attrgetter("text")
_raw: Reader = attrgetter("content")


def _message(asked: ChatMessage[Any]) -> object:
    return asked


def _content(asked: ChatMessage[Any]) -> object:
    return asked.text if asked.associated_messages and is_list(asked.content) else asked.content
