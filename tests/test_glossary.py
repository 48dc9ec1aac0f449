"""Names of files and classes are made of the words of docs/glossary.md; docstrings do without the words it bans."""

from __future__ import annotations

import pytest

from tests.glossary import PAGE, Glossary, banned_words, names_outside
from tests.layout import Source
from tests.test_layout import sources

GLOSSARY = Glossary.read(PAGE.read_text(encoding="utf-8"))


def test_file_and_class_names_are_words_of_the_glossary() -> None:
    assert [offence for source in sources("actors") for offence in names_outside(source, GLOSSARY)] == []


def test_docstrings_do_without_the_banned_words() -> None:
    assert [offence for source in sources("actors", "protocols") for offence in banned_words(source, GLOSSARY)] == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("actors/runtime/parcel.py", "", "file name 'parcel': 'parcel' is not a word"),
        ("actors/talk/target_queue.py", "class _Dock: ...", "class _Dock: 'dock' is not a word"),
        ("actors/runtime/mailbox.py", "class ActorMonolith: ...", "class ActorMonolith: 'monolith' is not a word"),
    ],
)
def test_a_name_outside_the_glossary_is_found(path: str, text: str, found: str) -> None:
    (offence,) = names_outside(Source(path, text), GLOSSARY)

    assert found in offence


@pytest.mark.parametrize(
    "text",
    [
        '"""Return what nobody knows."""',
        'x = 1\n"""Whether the run has\nended."""',
        'class C:\n    """An actor that is no supervisor."""',
    ],
)
def test_a_banned_word_in_a_docstring_is_found(text: str) -> None:
    (offence,) = banned_words(Source("actors/sample.py", text), GLOSSARY)

    assert "docstring says" in offence


def test_words_of_the_glossary_are_accepted() -> None:
    source = Source("actors/runtime/dead_letters.py", 'class DeadLetters:\n    """It is not beside-the-point text."""')

    assert list(names_outside(source, GLOSSARY)) == []
    assert [offence for offence in banned_words(source, GLOSSARY) if "'is no'" in offence] == []


def test_no_word_is_both_a_term_and_forbidden() -> None:
    assert GLOSSARY.allowed & GLOSSARY.forbidden == frozenset()
