"""Split a prompt for the offline model into question, sources and their sentences."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_DOCUMENT = re.compile(r'<document name="([^"\n]*)">\n(.*?)\n</document>', re.DOTALL)
_SPEAKER = re.compile(r"^(?:\[([^\]\n]{1,80})\]:[ \t]*|##[ \t]+([^\n]{1,80})\n(?=\s*- ))", re.MULTILINE)
_BULLET = re.compile(r"^- (.+?)(?: \[([^\]\n]{1,120})\])?$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n[ \t]*\n+")
_BULLETS = r"[-*•]|\([a-zA-Z0-9]{1,4}\)|[a-zA-Z0-9][.)]|#+"
_NUMBERS = r"\d{1,3}(?:\.\d+)*[.)]"
_ITEM = re.compile(rf"\n(?=[ \t]*(?:(?:{_BULLETS})[ \t]+\S|{_NUMBERS}[ \t]+[\"'“A-Z]))")
_LABEL = re.compile(rf"^(?:{_BULLETS}|{_NUMBERS})[ \t]+")
_RULE = re.compile(r"^(?:[^\w\n]|_){3,}$", re.MULTILINE)  # underlines, and the edges of boxes
_BOX = re.compile(r"^[*|][ \t]?(.*?)[ \t]*[*|]$", re.MULTILINE)
_END = re.compile(r"([.!?][^\w\s]*)\s+(?=[^\w\s]?[^\Wa-z_])")
_CLAUSE = re.compile(r"(?<=[;:])\s+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs?|cf|no|sec|art|inc|ltd|co|dr|mr|mrs|ms|st|fig|al)|\b[A-Z])\.$", re.I
)

LONG_SENTENCE = 60
"""Number of words above which a sentence is cut at its semicolons."""


class Sentence(NamedTuple):
    """One sentence and its place."""

    text: str
    source: str
    speaker: str
    position: int
    of: int
    """Number of sentences in the source."""


class PromptText(NamedTuple):
    """A prompt, split."""

    question: str
    """The text outside of all sources; the whole prompt if there are no sources."""
    sentences: list[Sentence]
    """Sentences of all sources in the given order."""


def read(text: str) -> PromptText:
    """Split a prompt into named documents, answers of team members, bullets of an earlier stage, and the question.

    A prompt without sources is its own source, without a name.
    """
    outside: list[str] = []
    sentences: list[Sentence] = []
    for speaker, part in _speakers(text):
        rest = _DOCUMENT.sub("\n\n", part)
        for name, body in _DOCUMENT.findall(part):
            sentences += _numbered(_plain(body), name, speaker)
        bullets = _BULLET.findall(rest)
        if bullets and (speaker or any(source for _, source in bullets)):
            by_source: dict[str, list[str]] = {}
            for line, source in bullets:
                by_source.setdefault(source, []).append(line)
            sentences += [one for source, lines in by_source.items() for one in _numbered(lines, source, speaker)]
            rest = _BULLET.sub("", rest)
        if speaker:
            sentences += _numbered(_plain(rest), "", speaker)
        else:
            outside.append(rest)
    question = _BLANK_LINES.sub("\n\n", "\n".join(outside)).strip()
    return PromptText(question, sentences or _numbered(_plain(question), "", ""))


def documents(text: str) -> dict[str, str]:
    """Return the named documents of a prompt, name to text. Of two with one name the later counts."""
    return dict(_DOCUMENT.findall(text))


def _speakers(text: str) -> Iterator[tuple[str, str]]:
    hidden = [match.span() for match in _DOCUMENT.finditer(text)]
    marks = [mark for mark in _SPEAKER.finditer(text) if not any(a <= mark.start() < b for a, b in hidden)]
    yield "", text[: marks[0].start()] if marks else text
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends if marks else [], strict=True):
        yield (mark[1] or mark[2]).strip(), text[mark.end() : end]


def _numbered(texts: Iterable[str], source: str, speaker: str) -> list[Sentence]:
    found = list(texts)
    return [Sentence(text, source, speaker, place, len(found)) for place, text in enumerate(found)]


def _plain(text: str) -> Iterator[str]:
    for paragraph in _BLANK_LINES.split(_BOX.sub(r"\1", _RULE.sub("", text))):
        for item in _ITEM.split(paragraph):
            line = _LABEL.sub("", " ".join(item.split()))
            yield from _sentences(line)


def _sentences(line: str) -> Iterator[str]:
    held = ""
    for piece in _END.sub(r"\1\n", line).split("\n"):
        held = f"{held} {piece}" if held else piece
        if not _ABBREVIATION.search(held):
            yield from _clauses(held)
            held = ""
    if held:
        yield from _clauses(held)


def _clauses(sentence: str) -> Iterator[str]:
    if len(sentence.split()) <= LONG_SENTENCE:
        if sentence:
            yield sentence
        return
    yield from (clause for clause in _CLAUSE.split(sentence) if clause)
