from hypothesis import given
from hypothesis import strategies as st

from actors.models.offline.ranking import choose, words
from actors.models.offline.sentences import Sentence
from actors.models.offline.topics import TOPICS, topic_score, topics_in


def lines(*texts: str) -> list[Sentence]:
    return [Sentence(text, "", "", place, len(texts)) for place, text in enumerate(texts)]


_sentences = st.lists(st.text("abc MUST. ", max_size=30), max_size=12).map(lambda texts: lines(*texts))


@given(_sentences, st.integers(1, 6), st.lists(st.sampled_from(list(TOPICS)), unique=True))
def test_choice_is_a_part_of_the_text_in_its_order(found: list[Sentence], number: int, topics: list[str]) -> None:
    chosen = choose(found, number, topics=topics)
    assert len(chosen) <= number
    places = [one.position for one in chosen]
    assert places == sorted(set(places))
    assert chosen == choose(found, number, topics=topics)


def test_frequent_words_make_a_sentence_important() -> None:
    found = lines(
        "The committee met in a room on the second floor of the house.",
        "Whales are large animals, and whales eat very small animals all day.",
        "Small whales follow large whales through the sea with their animals.",
    )
    assert choose(found, 1) == [found[1]]


def test_second_choice_says_something_else() -> None:
    found = lines(
        "Whales are large animals and whales live in the wide cold sea.",
        "Whales, the large animals, live in the wide and cold northern sea.",
        "Birds build their nests in tall trees near rivers and small lakes.",
    )
    assert found[2] in choose(found, 2)


def test_repeated_sentence_is_taken_once() -> None:
    found = lines("The same thing is said again here.", "The same thing is said again here.")
    assert choose(found, 2) == found[:1]


def test_topics_take_turns() -> None:
    found = lines(
        "You must pay the invoice on time every single month of the year.",
        "You must keep the invoice on file for at least ten years of time.",
        "Late payment is a risk and terminates the contract with all rights.",
    )
    assert found[2] in choose(found, 2, topics=["obligations", "risks"])


def test_sentences_without_the_topic_are_left_out_even_if_there_is_room() -> None:
    found = lines("You must pay.", "The sky is blue.")
    assert choose(found, 5, topics=["obligations"]) == found[:1]


def test_instructions_name_their_topics() -> None:
    assert topics_in("List obligations and risks.") == ["obligations", "risks"]
    assert topics_in("What can go wrong?") == ["risks"]
    assert topics_in("Say hello.") == []
    assert topics_in("You must answer in English.") == []


def test_definitions_are_no_obligations() -> None:
    assert topic_score('"Work" shall mean the text.', "obligations") == 0
    assert topic_score("You are not required to accept.", "obligations") == 0
    assert topic_score("You shall and must accept.", "obligations") == 4


def test_content_words_are_lower_case_without_endings() -> None:
    assert words("The Licenses were granted, granting Policies!") == ["license", "grant", "grant", "policy"]
