"""The public surface as lines of text: names, manifest keys, command line, events and errors."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec
import typer

import actors
import protocols
from actors.cli.main import app
from actors.config.schema import manifest_schema
from protocols.events import StampedEvent
from protocols.triggers import TriggerEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

FOLDER = Path(__file__).parent

# Users are given these by the framework: their constructors are not part of the promise.
MADE_FOR_USERS = {"ActorRef", "BaseTeam", "RunStream"}

# Where users import errors from, as the documentation says; elsewhere a class may move.
HOMES_OF_ERRORS = ("protocols.", "actors.runtime.errors", "actors.supervision.", "actors.storage.")

NOT_A_CONSTRAINT = {
    *("$defs", "$schema", "additionalProperties", "anyOf", "const", "default", "deprecated", "description"),
    *("discriminator", "enum", "items", "oneOf", "properties", "required", "title", "type"),
}


def public_names() -> Iterator[str]:
    """Yield each public name, with the parameters of its constructor and the keys of its keywords."""
    for name in sorted(actors.__all__):
        if name in MADE_FOR_USERS:
            yield name
            continue
        parameters = list(inspect.signature(getattr(actors, name)).parameters.values())
        plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
        yield f"{name}{_without_homes(str(inspect.Signature(plain)))}"
        for parameter in parameters:
            for keywords in get_args(parameter.annotation):
                if parameter.kind is parameter.VAR_KEYWORD:
                    yield from (f"{name} keyword {key}" for key in sorted(get_type_hints(keywords)))


def manifest_keys() -> Iterator[str]:
    """Yield each key of a manifest with its type and default, section by section."""
    schema = manifest_schema()
    for section, part in {"Manifest": schema, **schema["$defs"]}.items():
        yield f"{section}: {_type_of(part)}"
        for form in part.get("anyOf", [part]):
            for key, value in form.get("properties", {}).items():
                is_required = " (required)" if key in form.get("required", []) else ""
                default = f" = {value['default']!r}" if "default" in value else ""
                yield f"{section}.{key}: {_type_of(value)}{default}{is_required}"


def _type_of(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return str(value["$ref"]).removeprefix("#/$defs/")
    if forms := value.get("anyOf", value.get("oneOf")):
        return " | ".join(map(_type_of, forms))
    if words := value.get("enum", [value["const"]] if "const" in value else None):
        return " | ".join(map(repr, words))
    name = str(value.get("type", "any"))
    if items := value.get("items"):
        name = f"[{_type_of(items)}]"
    if values := value.get("additionalProperties"):
        name = f"{{name: {_type_of(values)}}}"
    limits = ", ".join(f"{key} {limit!r}" for key, limit in value.items() if key not in NOT_A_CONSTRAINT)
    return f"{name} ({limits})" if limits else name


def command_line() -> Iterator[str]:
    """Yield each command with its arguments and options."""
    yield from _command(typer.main.get_command(app), "understage")


def _command(command: Any, path: str) -> Iterator[str]:
    yield path
    for one in command.params:
        is_option = one.param_type_name == "option"
        spelling = "/".join([*one.opts, *one.secondary_opts]) if is_option else str(one.metavar)
        marks = [mark for mark in ("is_flag", "multiple", "required", "hidden") if getattr(one, mark, False)]
        yield f"{path} {spelling}: {' '.join([_without_homes(_text_of(one.type_descriptor.annotation)), *marks])}"
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _command(inner, f"{path} {name}")


def events() -> Iterator[str]:
    """Yield each event with its tag, and its fields with their types and defaults."""
    _import_all(protocols)
    for event in sorted(_below(StampedEvent) | _below(TriggerEvent), key=lambda event: event.__name__):
        if not event.__module__.startswith("protocols."):
            continue
        yield f"{event.__name__} {event.__struct_config__.tag_field}={event.__struct_config__.tag}"
        hints = get_type_hints(event, localns=_names_of(protocols))
        for field in msgspec.structs.fields(event):
            default = "" if field.required else f" = {_default_of(field)}"
            yield f"{event.__name__}.{field.name}: {_without_homes(_text_of(hints[field.name]))}{default}"


def _default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return f"{getattr(field.default_factory, '__name__', field.default_factory)}()"
    return repr(field.default)


def errors() -> Iterator[str]:
    """Yield each class of error with its bases; with its module where users import it from there."""
    _import_all(protocols)
    _import_all(actors)
    ours = {error for error in _below(BaseException) if error.__module__.startswith(("actors.", "protocols."))}
    for error in sorted(ours, key=lambda error: error.__name__):
        is_joined = "joins" in vars(error)  # made at run time, for an exception of pydantic_ai
        if not error.__name__.startswith("_") and not is_joined:
            home = f" of {error.__module__}" if error.__module__.startswith(HOMES_OF_ERRORS) else ""
            yield f"{error.__name__}({', '.join(base.__name__ for base in error.__bases__)}){home}"


def _import_all(package: ModuleType) -> None:
    for found in walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            import_module(found.name)


def _below(base: type[Any]) -> set[type[Any]]:
    return {deep for child in base.__subclasses__() for deep in ({child} | _below(child))}


def _names_of(package: ModuleType) -> dict[str, Any]:
    modules = [import_module(found.name) for found in walk_packages(package.__path__, f"{package.__name__}.")]
    return {name: value for module in modules for name, value in vars(module).items()}


def _text_of(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _without_homes(text: str) -> str:
    """Return text in which a class is named without its module: `<class 'a.b.C'>` and `a.b.C` become `C`."""
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])", "", re.sub(r"<class '([\w.]+)'>", r"\1", text))


PINS: dict[str, Callable[[], Iterator[str]]] = {
    "public_names": public_names,
    "manifest_keys": manifest_keys,
    "command_line": command_line,
    "events": events,
    "errors": errors,
}
