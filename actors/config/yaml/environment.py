"""`${NAME}` and `${NAME:-default}` in the texts of a manifest."""

import re
from collections.abc import Callable, Mapping

from actors.config.yaml.problem import Mark, Problem, render_path
from actors.config.yaml.tree import Key, Row, Table

_REFERENCE = re.compile(
    r"\$(?:(?P<escape>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<broken>\{))"
)


class Expansion:
    """Puts the values of environment variables into every text of a tree, in place.

    `${NAME}` must be set; `${NAME:-default}` falls back to the default when the variable is unset or empty; `$$` is
    one dollar sign, and a dollar sign before anything but `{` stands for itself. Keys are left alone. The result is
    text; where a number or true/false is expected it is read as one. A file that aliases one map twice is expanded
    once.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        """References that are malformed or name an unset variable."""
        self._env = env
        self._done: set[int] = set()

    def expand(self, tree: object, path: tuple[Key, ...] = ()) -> None:
        """Expand every text below a map or list."""
        if id(tree) in self._done:
            return
        self._done.add(id(tree))
        if isinstance(tree, Table):
            for key, value in tree.items():
                if isinstance(value, str) and "$" in value:
                    tree.raw[key] = value
                    tree[key] = self.text(value, (*path, key), tree.value_mark(key))
                elif isinstance(value, Table | Row):
                    self.expand(value, (*path, key))
        elif isinstance(tree, Row):
            self._expand_row(tree, path)

    def text(self, text: str, path: tuple[Key, ...], mark: Mark) -> str:
        """Return one text with its references replaced; a faulty one is reported and left as written."""

        def replace(match: re.Match[str]) -> str:
            return self._replacement(match, lambda message: self._report(message, path, mark))

        return _REFERENCE.sub(replace, text)

    def _expand_row(self, row: Row, path: tuple[Key, ...]) -> None:
        for index, value in enumerate(row):
            if isinstance(value, str) and "$" in value:
                row.raw[index] = value
                row[index] = self.text(value, (*path, index), row.marks[index])
            elif isinstance(value, Table | Row):
                self.expand(value, (*path, index))

    def _replacement(self, match: re.Match[str], report: Callable[[str], None]) -> str:
        if match["escape"]:
            return "$"
        if match["broken"]:
            report("'${' must be followed by NAME} or NAME:-default}; write '$${' for the characters themselves")
            return match[0]
        name, default = match["name"], match["default"]
        value = self._env.get(name)
        if default is not None:
            return value or default.removeprefix(":-")
        if value is None:
            report(f"environment variable {name!r} is not set; set it, or write ${{{name}:-default}}")
            return match[0]
        return value

    def _report(self, message: str, path: tuple[Key, ...], mark: Mark) -> None:
        self.problems.append(Problem(message, mark, render_path(path)))
