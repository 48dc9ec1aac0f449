"""The rules of the layout as functions over one source file: each yields what breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 8

FORBIDDEN_STEMS = re.compile(
    r"_?(utils?|helpers?|types?|common|misc|shared|base|core|managers?|handlers?|data|info)|.*_?\d+"
)
NAMED_BY_CONTRACT = frozenset({"ToolCallInfo"})
FORBIDDEN_CLASSES = re.compile(r".*(Manager|Helper|Handler|Utils?|Data|Info)")
SLEEPERS = frozenset({"asyncio", "time", "anyio", "trio"})
UNSAFE_MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle", "jinja2"})
UNSAFE_CALLS = frozenset({"eval", "exec", "yaml.load", "yaml.full_load", "yaml.unsafe_load"})
OPTIONAL_ROOMS = frozenset({"cluster", "storage", "telemetry", "triggers", "web"})
FIRST_PARTY = frozenset({"actors", "protocols"})

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True)
class Source:
    """One Python file: where it is (from the root of the repository) and what it says."""

    path: str
    text: str

    @classmethod
    def read(cls, root: Path, file: Path) -> Source:
        return cls(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))

    @property
    def stem(self) -> str:
        return Path(self.path).stem

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    def offence(self, line: int, what: str) -> str:
        return f"{self.path}:{line} {what}"


Rule = Callable[[Source], Iterator[str]]


def long_file(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield source.offence(lines, f"{lines} lines, the limit is {MAX_FILE_LINES}: it holds two nouns, split by noun")


def long_function(source: Source) -> Iterator[str]:
    for function in _functions(source.tree):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield source.offence(
                function.lineno, f"{function.name} has {lines} lines, the limit is {MAX_FUNCTION_LINES}"
            )


def many_parameters(source: Source) -> Iterator[str]:
    for function in _functions(source.tree):
        names = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > MAX_PARAMETERS:
            yield source.offence(
                function.lineno, f"{function.name} has {count} parameters, the limit is {MAX_PARAMETERS}"
            )


def vague_file_name(source: Source) -> Iterator[str]:
    if FORBIDDEN_STEMS.fullmatch(source.stem):
        yield source.offence(1, f"{source.stem!r} says nothing: name the file after the one noun it holds")


def vague_class_name(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef) or node.name in NAMED_BY_CONTRACT:
            continue
        if FORBIDDEN_CLASSES.fullmatch(node.name):
            yield source.offence(node.lineno, f"class {node.name}: name it after what it is")


def real_sleep(source: Source) -> Iterator[str]:
    bare = {name for name, module in _imported_from(source.tree).items() if name == "sleep" and module in SLEEPERS}
    for call in _calls(source.tree):
        name = ast.unparse(call.func)
        module, _, function = name.rpartition(".")
        sleeps = function == "sleep" and module in SLEEPERS if module else name in bare
        if sleeps and not _is_zero(call):
            yield source.offence(call.lineno, f"{ast.unparse(call)}: wait for what you mean, never for time to pass")


def unsafe_call(source: Source) -> Iterator[str]:
    for call in _calls(source.tree):
        if ast.unparse(call.func) in UNSAFE_CALLS:
            yield source.offence(call.lineno, f"{ast.unparse(call.func)} executes what it reads")
    for module, line in _imports(source.tree):
        if module.partition(".")[0] in UNSAFE_MODULES:
            yield source.offence(line, f"{module} executes what it reads")


def missing_docstring(source: Source) -> Iterator[str]:
    if not ast.get_docstring(source.tree):
        yield source.offence(1, "the module has no docstring")
    for node in _public(source.tree):
        if not ast.get_docstring(node):
            yield source.offence(node.lineno, f"{node.name} has no docstring")


def late_import(source: Source) -> Iterator[str]:
    for function in _functions(source.tree):
        for module, line in _imports(function):
            parts = set(module.split("."))
            if parts & FIRST_PARTY and not parts & OPTIONAL_ROOMS:
                yield source.offence(line, f"{module} is imported inside {function.name}: only optional rooms may be")


def imports_at_start(source: Source) -> set[str]:
    """Modules of ours that importing this one imports: top level, but not under `if TYPE_CHECKING`."""
    return _first_party(node for node in source.tree.body if not _is_type_checking(node))


def imports_of(source: Source) -> set[str]:
    """Modules of ours that this one names anywhere, under `if TYPE_CHECKING` and in functions as well."""
    return _first_party(ast.walk(source.tree))


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others, sorted."""
    reached = {module: _reached(module, imports) for module in imports}
    groups = {tuple(sorted(m for m in reached[module] if module in reached[m])) for module in imports}
    return sorted(list(group) for group in groups if len(group) > 1)


def _reached(start: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = (imports[waiting.pop()] & imports.keys()) - found
        found |= fresh
        waiting += fresh
    return found


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _first_party(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.partition(".")[0] in FIRST_PARTY}


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.lineno


def _imported_from(tree: ast.AST) -> dict[str, str]:
    froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name: node.module or "" for node in froms for alias in node.names}


def _is_zero(call: ast.Call) -> bool:
    match call.args:
        case [ast.Constant(value=0)]:
            return True
        case _:
            return False


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    for node in tree.body:
        if not isinstance(node, Definition) or node.name.startswith("_") or _is_documented_elsewhere(node):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)


def _is_documented_elsewhere(node: Definition) -> bool:
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(decorators & {"overload", "override", "setter", "deleter"})
