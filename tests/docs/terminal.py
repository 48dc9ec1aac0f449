"""The picture of `understage run` in the README: `python -m tests.docs.terminal` records it anew from the real demo.

The demo runs on a terminal of its own, and what is on its screen is drawn as SVG: when a member has crashed, and at
the end.
"""

from __future__ import annotations

import codecs
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tests.cli.conftest import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PICTURE: Final = ROOT / "docs" / "images" / "run.svg"
COMMAND: Final = """run agents.yml briefing "What must we do, and what can go wrong?" \\
    --file documents/MPL-2.0.txt --chaos risks"""
COLUMNS: Final = 100
_WIDTH: Final = 8.0
_HEIGHT: Final = 19
_CODE: Final = re.compile(r"\x1b\[([\d;?]*)([A-Za-z])|(.)", re.DOTALL)
_STYLES: Final = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
_SHEET: Final = """
svg { --paper: #ffffff; --ink: #1f2d2b; --dim: #5d6f6c; --red: #b3261e; --green: #1b6e2e; --yellow: #7a5900 }
svg { --cyan: #00696b }
@media (prefers-color-scheme: dark) {
svg { --paper: #14201e; --ink: #dbe5e3; --dim: #93a5a2; --red: #ff8a80; --green: #7ddc8f; --yellow: #f2c14e }
svg { --cyan: #6fd8da }
}
rect { fill: var(--paper); stroke: var(--dim) }
text { fill: var(--ink); font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre }
.bold { font-weight: bold } .dim { fill: var(--dim) } .red { fill: var(--red) } .green { fill: var(--green) }
.yellow { fill: var(--yellow) } .cyan { fill: var(--cyan) }
"""

Line = list[tuple[str, str]]
"""Characters, each with its style."""


@dataclass
class Screen:
    """A terminal: what was written, where the next character goes, and in which style."""

    lines: list[Line] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: str = ""

    def write(self, text: str) -> None:
        """Do what a terminal does with a text."""
        for code, kind, character in _CODE.findall(text):
            if kind == "A":
                self.row -= int(code or 1)
            elif kind == "K":
                del self.lines[self.row][0 if code == "2" else self.column :]
            elif kind == "m":
                self.style = " ".join(_STYLES[part] for part in code.split(";") if part in _STYLES)
            elif character == "\n":
                self._next_line()
            elif character == "\r":
                self.column = 0
            elif character:
                self._put(character)

    def _next_line(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.lines):
            self.lines.append([])

    def _put(self, character: str) -> None:
        if self.column == COLUMNS:
            self._next_line()
        line = self.lines[self.row]
        line += [(" ", "")] * (self.column - len(line))
        line[self.column : self.column + 1] = [(character, self.style)]
        self.column += 1

    def picture(self) -> list[Line]:
        """Return the lines without the blank ones at the end."""
        lines = [list(line) for line in self.lines]
        while lines and not text_of(lines[-1]):
            lines.pop()
        return lines


def text_of(line: Line) -> str:
    """Return a line without its styles."""
    return "".join(character for character, _ in line).rstrip()


def record() -> list[list[Line]]:
    """Run the demo; return the last screen before a member is restarted, and the last of all.

    Raises:
        RuntimeError: the demo failed, or no screen shows the restart.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (60, COLUMNS))
    program = subprocess.Popen(
        [sys.executable, "-m", "actors.cli", *shlex.split(COMMAND)],
        cwd=ROOT / "examples" / "briefing",
        env=environment(PYTHONPATH=str(ROOT), TERM="xterm-256color"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen, crashed = Screen(), list[Line]()
    for text in _read(ours):
        screen.write(text)
        told = "\n".join(map(text_of, screen.lines))
        if "crashed:" in told and "restarted" not in told and "state" in told:
            crashed = screen.picture()
    if program.wait() or not crashed:
        raise RuntimeError("\n".join(map(text_of, screen.picture())))
    return [crashed, screen.picture()]


def _read(terminal: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while data := os.read(terminal, 65_536):
            yield decoder.decode(data)
    except OSError:  # so does Linux say that the program has closed it
        pass
    finally:
        os.close(terminal)


def drawn(screens: Sequence[Sequence[Line]]) -> str:
    """Return screens as SVG, one below the other."""
    head = [[(character, "bold") for character in line] for line in f"$ understage {COMMAND}".splitlines()]
    rows = [*head, [], *screens[0], [], [("…", "dim")], [], *screens[1]]
    width, height = COLUMNS * _WIDTH + 32, len(rows) * _HEIGHT + 32
    texts = "\n".join(_row(number, row) for number, row in enumerate(rows) if row)
    told = escape("\n".join(map(text_of, rows)))
    box = f'viewBox="0 0 {width:.0f} {height}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-labelledby="t d">
<title id="t">understage run on a terminal: a member of a team crashes, is restarted, and the answer is whole</title>
<desc id="d">{told}</desc>
<style>{_SHEET}</style>
<rect x="1" y="1" width="{width - 2:.0f}" height="{height - 2}" rx="8"/>
{texts}
</svg>
"""


def _row(number: int, row: Line) -> str:
    parts, column = "", 0
    for style, group in groupby(row, lambda one: one[1]):
        text = "".join(character for character, _ in group)
        mark = f' class="{style}"' if style else ""
        if text.strip():
            parts += f'<tspan x="{16 + column * _WIDTH:g}"{mark}>{escape(text.rstrip())}</tspan>'
        column += len(text)
    return f'<text y="{number * _HEIGHT + 30}">{parts}</text>'


if __name__ == "__main__":
    PICTURE.write_text(drawn(record()), encoding="utf-8")
    sys.stdout.write(f"{PICTURE}\n")
