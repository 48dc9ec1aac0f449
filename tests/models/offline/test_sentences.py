import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.models.offline.sentences import documents, read
from actors.prompts.document import document_block


def _split(text: str) -> list[str]:
    return [sentence.text for sentence in read(text).sentences]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One is here. Two is there.", ["One is here.", "Two is there."]),
        ("Wrapped over\ntwo lines. End.", ["Wrapped over two lines.", "End."]),
        ("See e.g. Smith. Next.", ["See e.g. Smith.", "Next."]),
        ('He said "Stop!" Then he left.', ['He said "Stop!"', "Then he left."]),
        ("Version 1.2 is out. Good.", ["Version 1.2 is out.", "Good."]),
        ("Title\n\nBody text.", ["Title", "Body text."]),
        ("- one\n- two\n(a) three\n2.1. Four", ["one", "two", "three", "Four"]),
        ("Text under Section\n2.1 of this paper ends.", ["Text under Section 2.1 of this paper ends."]),
        ("Heading\n-------\nBody.", ["Heading", "Body."]),
        ("****\n*  In a box.  *\n****", ["In a box."]),
        ("", []),
    ],
)
def test_text_is_split_into_sentences(text: str, sentences: list[str]) -> None:
    assert _split(text) == sentences


def test_very_long_sentence_is_cut_at_its_semicolons() -> None:
    part = " ".join(["word"] * 40)
    assert _split(f"{part}; {part}.") == [f"{part};", f"{part}."]


@given(st.text())
def test_splitting_never_fails_and_invents_no_words(text: str) -> None:
    assert set(" ".join(_split(text)).split()) <= set(text.replace("*", " ").replace("|", " ").split()) | set(
        text.split()
    )


@given(st.text())
def test_reading_any_text_keeps_the_question_or_its_sources(text: str) -> None:
    reading = read(text)
    assert all(one.text and 0 <= one.position < one.of for one in reading.sentences)


def test_documents_speakers_and_question_are_told_apart() -> None:
    text = f"What now?\n\n{document_block('a.txt', 'In the file.')}\n\n[bob]: - Bob says so. [b.txt]\nOn his own."
    reading = read(text)
    assert reading.question == "What now?"
    assert [(one.text, one.source, one.speaker) for one in reading.sentences] == [
        ("In the file.", "a.txt", ""),
        ("Bob says so.", "b.txt", "bob"),
        ("On his own.", "", "bob"),
    ]


def test_speaker_mark_inside_a_document_is_text() -> None:
    reading = read(document_block("chat.txt", "[bob]: Hello to you all."))
    assert {(one.source, one.speaker) for one in reading.sentences} == {("chat.txt", "")}


def test_later_document_of_a_name_wins() -> None:
    assert documents(f"{document_block('a', 'x')}\n{document_block('a', 'y')}") == {"a": "y"}
