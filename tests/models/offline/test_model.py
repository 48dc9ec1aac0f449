import asyncio
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal
from uuid import UUID

import pytest
from annotated_types import Ge, Lt
from pydantic import AnyUrl, BaseModel, Field
from pydantic_ai import Agent, BinaryContent, NativeOutput, PromptedOutput
from pydantic_ai.messages import ModelResponse

from actors.models.offline.model import OfflineModel, tokens
from actors.prompts.document import document_block

RULES = """
House rules

Every guest must return the key to the front desk before noon. The garden is planted with roses and old apple trees.
Guests shall keep the kitchen clean after cooking a meal there.

The owner is not liable for damages to cars parked in the yard. Breakfast is served in the garden on warm summer days.
Smoking terminates the contract, and a penalty of 200 euro is due.
"""
STORY = """
The ship left the harbour early in the morning. Its captain must report to the admiral every evening by radio.
A storm is a risk for the ship, and a broken mast means the loss of the whole cargo.
"""
TWO = f"{document_block('rules.txt', RULES)}\n\n{document_block('story.txt', STORY)}"


def agent(instructions: str = "", sentences: int = 6) -> Agent[object, str]:
    return Agent(OfflineModel(sentences=sentences), instructions=instructions)


async def said(prompt: str, instructions: str = "") -> str:
    return (await agent(instructions).run(prompt)).output


async def test_same_input_gives_the_same_answer() -> None:
    assert await said(TWO, "List the obligations.") == await said(TWO, "List the obligations.")


async def test_every_sentence_of_the_answer_stands_in_its_source() -> None:
    answer = await said(TWO, "Detailed summary.")
    found = re.findall(r"^- (.+) \[(.+)\]$", answer, re.MULTILINE)
    assert len(found) == len(answer.splitlines()) > 2
    sources = {"rules.txt": " ".join(RULES.split()), "story.txt": " ".join(STORY.split())}
    assert {name for _, name in found} == set(sources)
    assert all(sentence in sources[name] for sentence, name in found)


async def test_agent_told_to_find_obligations_picks_what_must_be_done() -> None:
    assert await said(document_block("rules.txt", RULES), "List the obligations.") == (
        "- Every guest must return the key to the front desk before noon. [rules.txt]\n"
        "- Guests shall keep the kitchen clean after cooking a meal there. [rules.txt]"
    )


async def test_agent_told_to_find_risks_picks_what_can_go_wrong() -> None:
    assert await said(document_block("rules.txt", RULES), "Which risks are there?") == (
        "- The owner is not liable for damages to cars parked in the yard. [rules.txt]\n"
        "- Smoking terminates the contract, and a penalty of 200 euro is due. [rules.txt]"
    )


async def test_question_decides_which_sentence_comes_first() -> None:
    prompt = f"Where is breakfast served?\n\n{document_block('rules.txt', RULES)}"
    assert await said(prompt, "Answer in one sentence.") == (
        "- Breakfast is served in the garden on warm summer days. [rules.txt]"
    )


@pytest.mark.parametrize(
    ("instructions", "number"),
    [("Two sentences.", 2), ("In 3 short points.", 3), ("One point per document.", 2), ("Be brief.", 6), ("", 9)],
)
async def test_length_follows_the_instructions(instructions: str, number: int) -> None:
    assert len((await said(TWO, instructions)).splitlines()) == number


async def test_text_without_named_sources_is_answered_with_running_text() -> None:
    answer = await said(RULES, "Two sentences on the obligations.")
    assert answer == (
        "Every guest must return the key to the front desk before noon. "
        "Guests shall keep the kitchen clean after cooking a meal there."
    )


async def test_short_prompt_comes_back_as_it_is() -> None:
    assert await said("hello") == "hello"


async def test_next_stage_still_knows_the_sources() -> None:
    first = await said(TWO, "Extract the obligations and risks, in detail.")
    second = await said(first, "List the risks.")
    assert second.splitlines()[-1] == (
        "- A storm is a risk for the ship, and a broken mast means the loss of the whole cargo. [story.txt]"
    )
    assert "[rules.txt]" in second


async def test_answers_of_team_members_keep_their_headings_and_sources() -> None:
    obligations = await said(TWO, "List the obligations.")
    risks = await said(TWO, "List the risks.")
    answer = await said(f"[obligations]: {obligations}\n\n[risks]: {risks}", "Write a briefing.")
    head, tail = answer.split("\n\n")
    assert head.splitlines()[0] == "## obligations"
    assert tail.splitlines()[0] == "## risks"
    assert "- Its captain must report to the admiral every evening by radio. [story.txt]" in head
    assert "[rules.txt]" in tail
    assert await said(answer, "Write a briefing.") == answer


async def test_documents_of_an_earlier_prompt_answer_a_later_question() -> None:
    one = agent("One sentence per document.")
    first = await one.run(document_block("story.txt", STORY))
    second = await one.run("What about the captain?", message_history=first.all_messages())
    assert second.output == "- Its captain must report to the admiral every evening by radio. [story.txt]"


async def test_media_are_named_as_unreadable() -> None:
    picture = BinaryContent(b"abc", media_type="image/png", identifier="a.png")
    answer = (await agent().run(["Describe the picture.", picture])).output
    assert answer == "Describe the picture.\n(The offline model cannot read a.png (image/png, 3 bytes).)"


async def test_stream_comes_word_by_word_and_adds_up_to_the_answer() -> None:
    async with agent().run_stream(TWO) as stream:
        chunks = [chunk async for chunk in stream.stream_text(delta=True, debounce_by=None)]
        usage = stream.usage
    plain = await agent().run(TWO)
    assert "".join(chunks) == plain.output
    assert max(len(chunk.split()) for chunk in chunks) == 1
    assert usage == plain.usage


async def test_stream_lets_others_run_between_words_and_can_be_cancelled() -> None:
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            steps += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async with agent().run_stream(TWO) as stream:
        async for _ in stream.stream_text(delta=True, debounce_by=None):
            if steps > 20:
                await stream.cancel()
    counting.cancel()
    assert steps > 20
    assert stream.response.state == "interrupted"


async def test_response_is_labelled_and_costs_nothing() -> None:
    result = await agent("Be brief.").run("one two, three")
    response = result.all_messages()[-1]
    assert isinstance(response, ModelResponse)
    assert (response.model_name, response.provider_name, response.finish_reason) == ("offline", "understage", "stop")
    assert result.usage.cost == Decimal(0)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (tokens("Be brief.") + 4, 4)


class Mood(Enum):
    CALM = "calm"
    STORMY = "stormy"


class Crew(BaseModel):
    captain: str = Field(max_length=30)
    sailors: int = Field(ge=3, lt=10)
    share: Annotated[float, Ge(0.5), Lt(0.9)]
    boat: "Crew | None" = None


class Voyage(BaseModel):
    title: str = Field(min_length=5, max_length=40)
    risks: list[str]
    mood: Mood
    kind: Literal["car", "ship"]
    start: date
    logged: datetime
    crew: Crew
    notes: dict[str, int]
    delay: Annotated[int, Lt(0)]
    parts: tuple[int, str]
    wet: bool
    extra: int | None = None
    names: list[str] = Field(min_length=2, max_length=2)


@pytest.mark.parametrize("output", [Voyage, NativeOutput(Voyage), PromptedOutput(Voyage)])
async def test_structured_output_is_valid_and_the_same_every_time(output: type[Voyage]) -> None:
    one: Agent[object, Voyage] = Agent(OfflineModel(), output_type=output)
    prompt = f"Describe the ship.\n\n{document_block('story.txt', STORY)}"
    voyage = (await one.run(prompt)).output
    assert voyage == (await one.run(prompt)).output
    assert (voyage.kind, voyage.crew.sailors, voyage.delay, len(voyage.names)) == ("car", 3, -1, 2)


class Formats(BaseModel):
    date: date
    at: datetime
    time: time
    lasts: timedelta
    id: UUID
    page: AnyUrl
    v4: IPv4Address
    v6: IPv6Address
    format: str


async def test_texts_of_a_format_are_valid() -> None:
    one: Agent[object, Formats] = Agent(OfflineModel(), output_type=Formats)
    assert (await one.run("When?")).output.lasts == timedelta(0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 0),
        (bool, False),
        (list[int], [0]),
        (Literal["red", "blue"], "red"),
        (Annotated[int, Ge(7)], 7),
        (float | None, 0.0),
    ],
)
async def test_simple_output_types_are_filled(kind: type[object], value: object) -> None:
    one: Agent[object, object] = Agent(OfflineModel(), output_type=kind)
    assert (await one.run("How much?")).output == value


async def test_tool_is_called_only_when_the_question_names_it() -> None:
    one = agent("Two sentences.")
    calls: list[str] = []

    @one.tool_plain
    def look_up(topic: str) -> str:  # pyright: ignore[reportUnusedFunction]
        calls.append(topic)
        return "Apples ripen in autumn. They keep until the spring of the next year."

    assert (await one.run("Tell me about apples.")).output == "Tell me about apples."
    assert calls == []
    answer = await one.run("Look up the apples, please.")
    assert calls == ["a"]
    assert answer.output == "- Apples ripen in autumn. [look_up]\n" + (
        "- They keep until the spring of the next year. [look_up]"
    )


async def test_long_input_is_answered_off_the_loop() -> None:
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    answer = await said(document_block("long.txt", RULES * 500), "Two obligations as two sentences.")
    assert len(answer.splitlines()) == 2
    assert turned.is_set()


def test_number_of_sentences_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        OfflineModel(sentences=0)
