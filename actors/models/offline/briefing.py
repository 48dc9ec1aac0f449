"""The answer of the offline model: sentences of the sources, chosen by instructions and question.

Without named sources the answer is running text. With them it is a list of lines ``- sentence [source]``, below a line
``## speaker`` for every member of a team. `actors.models.offline.sentences` reads both, so the next offline model in a
chain still knows the source of a sentence.
"""

import re
from collections.abc import Iterable

from actors.models.offline.ranking import choose, words
from actors.models.offline.sentences import PromptText, Sentence
from actors.models.offline.topics import topics_in

DEFAULT_SENTENCES = 6
"""Sentences taken from each source unless the instructions ask for another number."""

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNT = re.compile(
    rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)})\s+(?:[\w-]+\s+){{0,2}}?(?:sentence|point|bullet|line|fact|finding|item)s?\b"
    r"(\s+(?:(?:per|for|from|of)\s+)?(?:each|every|per)\b)?",
    re.IGNORECASE,
)
_BRIEF = re.compile(r"\b(?:brief|briefly|short|concise|terse)\b", re.IGNORECASE)
_THOROUGH = re.compile(r"\b(?:thorough\w*|detailed|in detail|complete\w*|exhaustive|comprehensive)\b", re.IGNORECASE)
_DANGLING = re.compile(r"[;,:]?\s+(?:and|or)$|[;,]$")


def budget(instructions: str, default: int = DEFAULT_SENTENCES) -> tuple[int, bool]:
    """Read the number of sentences from the instructions, and whether it is for the whole answer, not for each source.

    ``three sentences`` means three in all, ``two points per document`` two from each source; words such as *brief*
    halve the default, words such as *detailed* double it.
    """
    found = _COUNT.search(instructions)
    if found:
        word = found[1].lower()
        number = int(word) if word.isdigit() else _NUMBERS.index(word) + 1
        return max(1, number), not found[2]
    if _BRIEF.search(instructions):
        return max(1, default // 2), False
    return default * 2 if _THOROUGH.search(instructions) else default, False


def briefing(reading: PromptText, instructions: str, default: int = DEFAULT_SENTENCES) -> str:
    """Return the answer to instructions and question from the sources."""
    chosen = select(reading, instructions, default)
    if not any(one.source or one.speaker for one in chosen):
        return " ".join(one.text for one in chosen) or reading.question
    return "\n".join(_lines(chosen))


def select(reading: PromptText, instructions: str, default: int = DEFAULT_SENTENCES) -> list[Sentence]:
    """Return the sentences of the answer, in the order of the sources."""
    own = bool(reading.sentences) and not any(one.source or one.speaker for one in reading.sentences)
    asked = instructions if own else f"{instructions}\n{reading.question}"
    number, in_all = budget(asked, default)
    sources: dict[object, list[Sentence]] = {}
    for one in reading.sentences:
        sources.setdefault("all" if in_all else (one.speaker, one.source), []).append(one)
    topics, wanted = topics_in(asked), words(asked)
    return [
        one
        for group in sources.values()
        for one in choose(group, number, question=wanted, topics=topics_in(group[0].speaker) or topics)
    ]


def finished(text: str) -> str:
    """Return the sentence without the *and* or *or* that led to the next item of its list."""
    shorter = _DANGLING.sub("", text)
    return text if shorter == text else f"{shorter.rstrip(' ;,:')}."


def _lines(chosen: Iterable[Sentence]) -> Iterable[str]:
    speaker, space = "", ""
    for one in chosen:
        if one.speaker != speaker:
            yield f"{space}## {one.speaker}"
            speaker = one.speaker
        space = "\n"
        yield f"- {finished(one.text)} [{one.source}]" if one.source else f"- {finished(one.text)}"
