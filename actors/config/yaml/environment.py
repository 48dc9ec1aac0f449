"""`${NAME}` and `${NAME:-default}` in the texts of a manifest."""

import re
from collections.abc import Mapping
from typing import Any

from actors.config.yaml.problem import Mark, Problem, render_path
from actors.config.yaml.tree import Key, Row, Table

_REFERENCE = re.compile(r"\$(?:(?P<escape>\$)|\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<end>\}|:-))?)")
_MALFORMED = "'${' must be followed by NAME} or NAME:-default}; write '$${' for the characters themselves"


class Expansion:
    """Puts the values of environment variables into every text of a tree, in place.

    `${NAME}` must be set; `${NAME:-default}` falls back to the default when the variable is unset or empty. A default
    may hold references and pairs of braces. `$$` is one dollar sign, and a dollar sign before anything but `{` stands
    for itself. Keys are left alone. The result is text; where a number or true/false is expected it is read as one. A
    file that aliases one map twice is expanded once.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        """References that are malformed or name an unset variable."""
        self._env = env
        self._done: set[int] = set()

    def expand(self, tree: object, path: tuple[Key, ...] = ()) -> None:
        """Expand every text below a map or list."""
        if id(tree) in self._done or not isinstance(tree, Table | Row):
            return
        self._done.add(id(tree))
        holder: Any = tree
        for key, value in tree.items() if isinstance(tree, Table) else enumerate(tree):
            is_implied = isinstance(tree, Table) and tree.written.get(str(key)) == ""
            place = path if is_implied else (*path, key)
            if isinstance(value, str) and "$" in value:
                holder.raw[key] = value
                holder[key] = self.text(value, place, holder.value_mark(key))
            else:
                self.expand(value, place)

    def text(self, text: str, path: tuple[Key, ...], mark: Mark) -> str:
        """Return one text with its references replaced; a faulty one is reported and left as written."""
        parts: list[str] = []
        while (match := _REFERENCE.search(text)) is not None:
            parts.append(text[: match.start()])
            text = text[match.end() :]
            name, default = match["name"], None
            if match["end"] == ":-":
                default, text = _default(text)
            if match["escape"]:
                parts.append("$")
            elif name is None or (match["end"] == ":-" and default is None):
                self._report(_MALFORMED, path, mark)
                parts.append(match[0] + text)
                text = ""
            elif default is not None:
                parts.append(self._env.get(name) or self.text(default, path, mark))
            elif (value := self._env.get(name)) is not None:
                parts.append(value)
            else:
                self._report(
                    f"environment variable {name!r} is not set; set it, or write ${{{name}:-default}}", path, mark
                )
                parts.append(match[0])
        return "".join(parts) + text

    def _report(self, message: str, path: tuple[Key, ...], mark: Mark) -> None:
        self.problems.append(Problem(message, mark, render_path(path)))


def _default(text: str) -> tuple[str | None, str]:
    """Return the default up to the brace that closes it, and the text behind; None without such a brace."""
    depth = 1
    for match in re.finditer(r"[{}]", text):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return text[: match.start()], text[match.end() :]
    return None, text
