import pytest

from actors.nodes.agent import Agent


def rec(name: str) -> Agent[object, str]:
    def answer(text: str) -> str:
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)


@pytest.mark.seed("S6")
async def test_each_member_gets_the_answer_of_the_one_before() -> None:
    assert (await (rec("a") | rec("b") | rec("c")).run("q")).content == "c(b(a(q)))"


@pytest.mark.seed("S28")
async def test_run_iter_yields_the_answer_of_each_member_in_order() -> None:
    chain = rec("a") | rec("b")
    assert [message.content async for message in chain.run_iter("q")] == ["a(q)", "b(a(q))"]
