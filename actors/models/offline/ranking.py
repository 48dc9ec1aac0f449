"""Choose the most informative sentences of a text, without a model.

The score of a sentence combines the methods of the early work on automatic abstracts:

* the average probability of its content words in its source (SumBasic: Nenkova and Vanderwende, "The Impact of
  Frequency on Summarization", 2005; the idea of frequency is Luhn, "The Automatic Creation of Literature Abstracts",
  1958);
* its place in the source and the words that it shares with the question (Edmundson, "New Methods in Automatic
  Extracting", 1969: location, title and cue methods);
* the cues of the topics asked for (`actors.models.offline.topics`).

Sentences are taken one by one. The probability of the words of a taken sentence is squared, so the next sentence says
something else (SumBasic's update). The result is deterministic: of equal sentences the first one wins.
"""

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from actors.models.offline.sentences import Sentence
from actors.models.offline.topics import topic_score

_WORD = re.compile(r"[^\W\d_][\w'-]*", re.UNICODE)
_SHORTEST, _LONGEST = 12, 45  # words of a sentence that says much and is still read
_HEADING = 8
_FINISHED = re.compile(r"[.!?;][^\w\s]*(?:\s+(?:and|or))?$")
_SHORTEST_STEM = 3
_FRAGMENT = 0.2  # headings and torn lines
_CONTINUED = 0.8  # an item of a list that needs its introduction
_QUESTION_WEIGHT = 2.0
_FUNCTION_WORDS = """
    a about above after again all also an and any are as at be because been before being below between both but by can
    could did do does doing down during each either else ever every few for from further had has have having he her
    here hers him his how i if in into is it its itself just like made make many may me might more most much must my no
    nor not now of off on once one only or other our out over own per please said same say see shall she should so some
    such than that the their them then there these they this those through thus to too under until up upon us use very
    was we were what when where whether which while who whom whose why will with within without would you your
"""
_STOPWORDS = frozenset(re.findall(r"\w+", _FUNCTION_WORDS))


def words(text: str) -> list[str]:
    """Return the content words of *text*, in lower case and without common endings."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOPWORDS]


def choose(
    sentences: Sequence[Sentence], number: int, *, question: Iterable[str] = (), topics: Sequence[str] = ()
) -> list[Sentence]:
    """Return at most *number* of the *sentences*, the most informative ones, in their order in the text.

    Args:
        sentences: the sentences of one source.
        number: how many to take; all sentences if there are no more.
        question: content words of the question; sentences that share some are preferred.
        topics: names of topic families; if any sentence has one of their marks, only such sentences are taken, and
            every topic with a sentence is represented as far as *number* allows.
    """
    first: dict[str, Sentence] = {}
    for one in sentences:
        first.setdefault(one.text.casefold(), one)
    candidates = list(first.values())
    hits = {topic: {one: score for one in candidates if (score := topic_score(one.text, topic))} for topic in topics}
    wanted = [one for one in candidates if any(one in found for found in hits.values())] or candidates
    if len(wanted) <= number:
        return wanted
    asked = frozenset(question)
    weights = {one: _weight(one, asked) for one in wanted}
    queues = [{one: weights[one] * (1 + score) for one, score in found.items()} for found in hits.values() if found]
    return _take(wanted, queues or [weights], number)


def _take(sentences: Sequence[Sentence], queues: Sequence[Mapping[Sentence, float]], number: int) -> list[Sentence]:
    """Take turns between the queues of the topics, and take the best remaining sentence of each."""
    content = {one: words(one.text) for one in sentences}
    counted = Counter(word for found in content.values() for word in found)
    total = sum(counted.values()) or 1
    chance = {word: times / total for word, times in counted.items()}

    def score(one: Sentence, weight: float) -> float:
        found = content[one]
        return weight * sum(chance[word] for word in found) / len(found) if found else 0.0

    order = {one: place for place, one in enumerate(sentences)}
    heaps = [[(-score(one, weight), order[one], weight) for one, weight in queue.items()] for queue in queues]
    for heap in heaps:
        heapq.heapify(heap)
    taken: set[int] = set()
    while len(taken) < number and any(heaps):
        for heap in heaps:
            best = _best(heap, taken, lambda place, weight: score(sentences[place], weight))
            if best is not None and len(taken) < number:
                taken.add(best)
                for word in set(content[sentences[best]]):
                    chance[word] **= 2
    return [sentences[place] for place in sorted(taken)]


def _best(heap: list[tuple[float, int, float]], taken: set[int], score: Callable[[int, float], float]) -> int | None:
    """Pop the best sentence of one heap. Scores only fall, so a stale top is scored again and put back."""
    while heap:
        _, place, weight = heapq.heappop(heap)
        if place in taken:
            continue
        now = -score(place, weight)
        if not heap or (now, place) <= heap[0][:2]:
            return place
        heapq.heappush(heap, (now, place, weight))
    return None


def _weight(one: Sentence, asked: frozenset[str]) -> float:
    share = len(asked.intersection(words(one.text))) / len(asked) if asked else 0.0
    early = 1 + 0.25 * (1 - one.position / one.of)
    return early * _form(one.text) * (1 + _QUESTION_WEIGHT * share)


def _form(text: str) -> float:
    """Return from 0 to 1 how much the text looks like a full sentence of a readable length."""
    found = text.split()
    length = min(1.0, len(found) / _SHORTEST, _LONGEST / len(found)) if found else 0.0
    capitals = sum(word[0].isupper() for word in found)
    if not _FINISHED.search(text) or (len(found) <= _HEADING and capitals > len(found) / 2):
        return length * _FRAGMENT
    return length if text[0].isupper() or not text[0].isalpha() else length * _CONTINUED


def _stem(word: str) -> str:
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return _cut(word, "ies", "y") or _cut(word, "s") or word
    return _cut(word, "ing") or _cut(word, "ed") or word


def _cut(word: str, ending: str, instead: str = "") -> str:
    stem = word.removesuffix(ending) + instead
    return stem if word.endswith(ending) and len(stem) >= _SHORTEST_STEM else ""
