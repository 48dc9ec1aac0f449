"""Import strings: text in a manifest that names Python code, and the allow-list that decides which code it may name.

A manifest with import strings is code. Nothing is imported while it is read; `resolve_import` does that later, and both
refuse whatever is not below a prefix of `allow_imports`.
"""

import builtins
import importlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, NoReturn, cast

from pydantic import AfterValidator, ValidationInfo

from actors.config.read_context import complain, reading_of
from actors.config.yaml.file import is_open_to_all

_LENGTH = 300
_PLAIN_TYPES: tuple[type, ...] = (str, int, float, bool, bytes, list, dict, tuple, set, frozenset)
PLAIN_BUILTINS: Mapping[str, type] = {kind.__name__: kind for kind in _PLAIN_TYPES}
"""Types of `builtins` that may always be named, as in `builtins:str`: making one runs no foreign code."""
_HARMLESS = PLAIN_BUILTINS.keys() | {
    name for name, value in vars(builtins).items() if inspect.isclass(value) and issubclass(value, BaseException)
}


class ImportPathError(ValueError):
    """Raised when an import string is malformed, not allowed, or leads nowhere.

    It is not raised for an exception inside the imported module: that one comes as the cause.
    """


def _refuse(text: str) -> NoReturn:
    raise ImportPathError(text)


def split_import(text: str) -> tuple[str, str]:
    """Return module and attribute of `pkg.mod:attr` or `pkg.mod.attr`.

    Raises:
        ImportPathError: The text is neither, is relative, or has a part that begins with an underscore.
    """
    module, colon, attribute = text.partition(":")
    if not colon:
        module, _, attribute = text.rpartition(".")
    parts = [*module.split("."), attribute]
    if len(text) > _LENGTH or not all(part.isidentifier() for part in parts):
        _refuse(f"{text[:_LENGTH]!r} is not an import path; expected 'package.module:name'")
    if any(part.startswith("_") for part in parts):
        _refuse(f"{text!r} names something private; parts of an import path cannot begin with '_'")
    return module, attribute


def check_import(text: str, allow: Sequence[str]) -> tuple[str, str]:
    """Return module and attribute of an import string that the allow-list covers, without importing anything.

    Args:
        text: The import string.
        allow: Prefixes: a package or module covers itself and all below; `module:attr` covers one name.

    Raises:
        ImportPathError: It is malformed or not covered.
    """
    module, attribute = split_import(text)
    if module == "builtins":
        if attribute in _HARMLESS:
            return module, attribute
        _refuse(f"{text!r} is not allowed; of builtins only plain types and exceptions are")
    if not any(_covers(prefix, module, attribute) for prefix in allow):
        _refuse(f"{text!r} is not allowed; add {module.partition('.')[0]!r} or a narrower prefix to allow_imports")
    return module, attribute


def resolve_import(text: str, allow: Sequence[str]) -> object:
    """Import what an import string names.

    The name must be an attribute of the module itself, must not be a module, and a function or class must also be
    defined below an allowed prefix: a module cannot lend out what it has imported from elsewhere.

    Args:
        text: `pkg.mod:attr` or `pkg.mod.attr`.
        allow: As in `check_import`.

    Raises:
        ImportPathError: The import is not allowed, or the module or attribute does not exist.
    """
    name, attribute = check_import(text, allow)
    _refuse_shadow(name)
    try:
        _refuse_open(name)
        module = importlib.import_module(name)
    except ImportPathError:
        raise
    except Exception as error:
        message = f"{text!r} cannot be imported: {type(error).__name__}: {error}{_namesake(name)}"
        raise ImportPathError(message) from error
    try:
        found: object = getattr(module, attribute)
    except AttributeError as error:
        raise ImportPathError(f"{text!r}: module {name!r} has no attribute {attribute!r}{_namesake(name)}") from error
    _check_origin(text, found, allow)
    return found


def _namesake(module: str) -> str:
    top = module.partition(".")[0]
    own = f"; {top!r} is Understage's own package, so a module of yours needs another name"
    return own if top in {"actors", "protocols"} else ""


def _covers(prefix: str, module: str, attribute: str) -> bool:
    if ":" in prefix:
        return prefix == f"{module}:{attribute}"
    return module == prefix or module.startswith(f"{prefix}.") or f"{module}.{attribute}" == prefix


def _check_origin(text: str, found: object, allow: Sequence[str]) -> None:
    while isinstance(found, partial):
        found = cast("object", found.func)
    if inspect.ismodule(found):
        _refuse(f"{text!r} is a module; expected something in it")
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        return
    origin = str(getattr(found, "__module__", None) or "builtins")
    name = str(getattr(found, "__name__", ""))
    narrow = {prefix.partition(":")[0] for prefix in allow}
    if origin == "builtins":
        if inspect.isclass(found) or name in _HARMLESS:
            return
    elif any(_covers(prefix, origin, name) for prefix in narrow):
        return
    _refuse(f"{text!r} is defined in {origin!r}, which allow_imports does not cover")


def _spec(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    return importlib.util.find_spec(name) if module is None else module.__spec__


def _refuse_shadow(name: str) -> None:
    """Refuse a file that stands in for a module of the standard library, say an `email.py` in the working directory."""
    top = name.partition(".")[0]
    spec = _spec(top) if top in sys.stdlib_module_names else None
    origin = spec.origin if spec is not None else None
    if origin in (None, "built-in", "frozen"):
        return
    places = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    if not any(Path(str(origin)).resolve().is_relative_to(Path(place).resolve()) for place in places if place):
        _refuse(f"{name!r} would come from {origin!r}, which stands in for the standard library's module")


def _refuse_open(name: str) -> None:
    """Refuse modules in files and folders that every user of the machine may change; look before each is imported."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        above = ".".join(parts[:end])
        spec = _spec(above)
        if spec is None or not spec.has_location or spec.origin is None:
            continue
        for path in (Path(spec.origin), Path(spec.origin).parent):
            if is_open_to_all(path):
                why = "can be changed by every user, who could run code; take that right away"
                _refuse(f"module {above!r}: {str(path)!r} {why}")


def import_text(value: str, info: ValidationInfo) -> str:
    """Check an import string, by the allow-list of the manifest that is read.

    Raises:
        ImportPathError: It is malformed or not covered.
    """
    reading = reading_of(info)
    if reading is None:
        split_import(value)
    else:
        check_import(value, reading.allow_imports)
        reading.imports.add(value)
    return value


def _prefix(value: str) -> str:
    module, colon, attribute = value.partition(":")
    parts = [*module.split("."), *([attribute] if colon else [])]
    if module == "builtins" or not all(part.isidentifier() and not part.startswith("_") for part in parts):
        complain("expected a package, a module or 'module:name'; no wildcard, not builtins, nothing private")
    return value


ImportText = Annotated[str, AfterValidator(import_text)]
"""An import string that `allow_imports` covers."""
ImportPrefix = Annotated[str, AfterValidator(_prefix)]
"""One entry of `allow_imports`."""
