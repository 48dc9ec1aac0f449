"""Families of words that instructions can ask for, for the offline model.

An instruction such as "list the obligations" names a family by one of its *cues*. Sentences with one of the family's
*marks* are then preferred. A mark that ends in ``*`` stands for all words that begin with it. A mark of several words
is matched as a phrase.

Marks before the ``|`` are strong: they count twice, and a sentence with one of them is preferred to any without.

The lists are small and English on purpose: enough for a useful briefing, and short enough to read.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

TOPICS: Mapping[str, tuple[str, str]] = {
    "obligations": (
        "obligation* obligat* duty duties requirement* comply complian* must-do* demand*",
        "must, #shall, #required, obliged, has to, have to, responsible for, mandatory | "
        "#require, oblig*, need to, needs to, provided that, comply, ensure",
    ),
    "risks": (
        "risk* danger* threat* hazard* liabilit* wrong concern* pitfall*",
        "liable, liability, damages, terminate*, breach*, litigation, lawsuit, indemnif*, penalt*, as is, risk*, "
        "void | warrant*, infring*, claim*, loss*, lose, fail*, defect*, danger*, cease*, termination",
    ),
    "rights": (
        "right* permission* allow* freedom* permit*",
        "may, hereby grants, entitled, free to, royalty-free | grant*, permi*, allow*, right*, license to",
    ),
    "restrictions": (
        "restrict* prohibit* forbid* forbidden limitation* constraint*",
        "must not, may not, shall not, cannot, can not, prohibit*, forbid*, not permitted | "
        "except, unless, no right*, restrict*, limit*",
    ),
    "dates": (
        "deadline* date* schedule* timeline* when",
        "deadline*, no later than, due, #date | day*, week*, month*, year*, until, january, february, march, "
        "april, june, july, august, september, october, november, december",
    ),
    "money": (
        "cost* price* budget* fee* money expens* payment*",
        "#money, fee, fees, price*, budget* | cost*, pay, payment*, charge*, royalt*, dollar*, euro*",
    ),
    "figures": ("number* figure* statistic* quantit* metric*", "#number | percent, per cent, average, total"),
    "actions": (
        "action* task* todo* to-do* step* decision* decid*",
        "will, decide*, action*, todo, assign* | agree*, should, next, plan*, start*, finish*",
    ),
    "definitions": ("defin* meaning* glossary term*", "mean, means, refers to, is called, stands for | defin*"),
    "causes": (
        "cause* reason* why because explain*",
        "because, due to, therefore, as a consequence | since, result*, cause*, reason*, so that",
    ),
    "problems": (
        "problem* error* bug* failure* issue* defect* weakness*",
        "error*, fail*, bug*, crash*, broken, problem* | exception*, cannot, wrong, missing, timeout*, warning*",
    ),
    "changes": (
        "change* differen* new update*",
        "chang*, replac*, remov*, updat* | new, now, add, added, adds, differ*",
    ),
}
"""Every family, in the order in which ties are settled: cues in instructions, and marks in sentences."""

_SPECIAL = {
    "#shall": r"\bshall\b(?! (?:mean|be deemed|be construed|be liable|survive))",
    "#required": r"(?<!not )\brequired to\b",
    "#require": r"(?<!not )\brequire[sd]?\b(?! by)",
    "#date": r"\d{4}-\d\d-\d\d|\d{1,2}\.\d{1,2}\.\d{2,4}",
    "#money": r"[$€£]\s?\d|\d\s?(?:[$€£]|usd|eur)",
    "#number": r"\d[\d.,]*",
}
_STRONG = 2


def _pattern(marks: Iterable[str]) -> re.Pattern[str]:
    listed = list(marks)
    plain = [re.escape(mark.rstrip("*")) + (r"\w*" if mark.endswith("*") else "") for mark in listed if mark[0] != "#"]
    special = [_SPECIAL[mark] for mark in listed if mark[0] == "#"]
    return re.compile("|".join([*special, *([rf"\b(?:{'|'.join(plain)})\b"] if plain else [])]), re.IGNORECASE)


@cache  # compiled at the first question: to compile all of them takes 10 ms
def _cues(topic: str) -> re.Pattern[str]:
    return _pattern(TOPICS[topic][0].split())


@cache
def _marks(topic: str) -> list[re.Pattern[str]]:
    return [_pattern(map(str.strip, side.split(","))) for side in TOPICS[topic][1].split("|")]


def topics_in(instructions: str) -> list[str]:
    """Return the names of the families that *instructions* ask for, in the order of `TOPICS`."""
    return [name for name in TOPICS if _cues(name).search(instructions)]


def topic_score(sentence: str, topic: str) -> int:
    """Return how much the sentence belongs to a topic: 2 for each different strong mark, 1 for each weak one."""
    strong, weak = _marks(topic)
    return _STRONG * _different(strong, sentence) + _different(weak, sentence)


def _different(pattern: re.Pattern[str], sentence: str) -> int:
    return len({match.lower() for match in pattern.findall(sentence)})
