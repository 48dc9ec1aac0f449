"""What every history store does, over memory, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from protocols.history import HistoryQuery, HistoryStats, Retention
from protocols.session import conversation_of
from protocols.stores import HistoryStore, StorageError, StoreRejectedError
from tests.storage.messages import as_offered, ids, message

if TYPE_CHECKING:
    from protocols.history import StoredMessage

DAY = 86_400.0
HOSTILE = [
    "'; DROP TABLE understage_history; --",
    '" OR 1=1 --',
    "100 % of_all /* comment */",
    "back\\slash / slash",
    "=HYPERLINK(1)",
    ":name %(name)s $1 ? {0}",
    "line\nbreak\ttab\r",
    "\N{GRINNING FACE} \u202e right to left",
    "\x1b[2J",
]


async def test_store_is_a_history_store(store: HistoryStore) -> None:
    assert isinstance(store, HistoryStore)


async def test_conversation_returns_what_was_appended_oldest_first(store: HistoryStore) -> None:
    sent = [message(n) for n in range(5)]
    await store.append(sent[:2])
    await store.append(sent[2:])
    assert as_offered(await store.conversation("c1")) == sent


async def test_message_keeps_every_field(store: HistoryStore) -> None:
    full = message(
        1,
        run_id=None,
        model="openai:gpt-4o",
        tokens=2**53 - 1,
        input_tokens=7,
        output_tokens=8,
        cost=0.1 + 0.2,
        created=1_700_000_000.123456,
        payload=bytes(range(256)),
        metadata={"a": [1, 2.5, None, True, {"b": "\N{SNOWMAN}"}], "nul": "\0", "lone": "\ud800"},
    )
    await store.append([full, message(2, payload=b"", metadata={})])
    assert as_offered(await store.conversation("c1")) == [full, message(2, payload=b"")]


async def test_metadata_that_is_not_json_is_kept_as_text(store: HistoryStore) -> None:
    await store.append([message(1, metadata={"error": ValueError("x"), "pair": (1, 2), "nan": float("nan"), 3: 4})])
    (found,) = await store.conversation("c1")
    assert found.metadata == {"error": "x", "pair": [1, 2], "nan": "nan", "3": 4}


async def test_metadata_without_end_is_rejected_and_nothing_of_the_batch_is_kept(store: HistoryStore) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with pytest.raises(StoreRejectedError, match=r"'m2'.*nested deeper"):
        await store.append([message(1), message(2, metadata=endless)])
    assert await store.count() == 0


async def test_text_that_no_database_can_hold_is_kept_with_replacements(store: HistoryStore) -> None:
    await store.append([message(1, content="a\0b\ud800c")])
    assert [m.content for m in await store.query(HistoryQuery(text="\0B\udfffC"))] == ["a\ufffdb\ufffdc"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_data_in_every_field(store: HistoryStore, text: str) -> None:
    hostile = message(1, id=text, conversation_id=text, run_id=text, node=text, content=text, model=text)
    await store.append([hostile, message(2)])
    everywhere = HistoryQuery(agent=text, conversation=text, text=text)
    assert as_offered(await store.query(everywhere)) == [hostile]
    assert as_offered(await store.conversation(text)) == [hostile]
    assert [s.conversation_id for s in await store.conversations(text)] == [text]
    assert await store.count() == 2


async def test_append_of_a_known_id_changes_nothing(store: HistoryStore) -> None:
    await store.append([message(1, content="first"), message(1, content="second"), message(2)])
    await store.append([message(2, content="late"), message(3)])
    assert [m.content for m in await store.conversation("c1")] == ["first", "message 2", "message 3"]


async def test_append_of_nothing_does_nothing(store: HistoryStore) -> None:
    await store.append([])
    assert await store.count() == 0


async def test_concurrent_appends_of_the_same_messages_keep_each_once(store: HistoryStore) -> None:
    await asyncio.gather(*(store.append([message(n) for n in range(20)]) for _ in range(8)))
    assert ids(await store.conversation("c1")) == [f"m{n}" for n in range(20)]


async def test_concurrent_batches_stay_together(store: HistoryStore) -> None:
    batches = [[message(10 * task + n, id=f"{task}-{n}") for n in range(10)] for task in range(8)]
    await asyncio.gather(*map(store.append, batches))
    found = ids(await store.query(HistoryQuery(newest_first=False)))
    assert {tuple(found[i : i + 10]) for i in range(0, 80, 10)} == {tuple(ids(batch)) for batch in batches}


async def test_cancelled_append_keeps_all_or_nothing_and_leaves_the_store_usable(store: HistoryStore) -> None:
    for steps in range(12):
        task = asyncio.create_task(store.append([message(n, id=f"{steps}-{n}") for n in range(50)]))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await store.count() % 50 == 0
    await store.append([message(1, id="after")])
    assert ids(await store.query(HistoryQuery(limit=1))) == ["after"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (HistoryQuery(), ["m3", "m2", "m1", "m0"]),
        (HistoryQuery(newest_first=False), ["m0", "m1", "m2", "m3"]),
        (HistoryQuery(agent="editor"), ["m3", "m2"]),
        (HistoryQuery(role="assistant"), ["m3", "m1"]),
        (HistoryQuery(agent="editor", role="user"), ["m2"]),
        (HistoryQuery(since=1_001.0), ["m3", "m2", "m1"]),
        (HistoryQuery(until=1_001.0), ["m0"]),
        (HistoryQuery(since=1_001.0, until=1_003.0), ["m2", "m1"]),
        (HistoryQuery(conversation="c2"), ["m3"]),
        (HistoryQuery(limit=2), ["m3", "m2"]),
        (HistoryQuery(limit=1, newest_first=False), ["m0"]),
        (HistoryQuery(agent="Editor"), []),
    ],
)
async def test_query_returns_what_fulfils_all_conditions(
    store: HistoryStore, query: HistoryQuery, expected: list[str]
) -> None:
    await store.append(
        [message(0), message(1), message(2, node="editor"), message(3, node="editor", conversation_id="c2")]
    )
    assert ids(await store.query(query)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BRIEF", ["m0"]),
        ("übung", ["m1"]),
        ("ÜBUNG", ["m1"]),
        ("%", ["m2"]),
        ("_", ["m3"]),
        ("a/b", ["m4"]),
        ("\\", ["m5"]),
        ("'", ["m6"]),
        ("f_r", []),
        ("x" * 1_000, []),
    ],
)
async def test_text_filter_ignores_case_and_knows_no_wildcards(
    store: HistoryStore, text: str, expected: list[str]
) -> None:
    contents = ["a Briefing for you", "die Übung", "100%", "snake_case", "A/B test", "back\\slash", "it's"]
    await store.append([message(n, content=content) for n, content in enumerate(contents)])
    assert ids(await store.query(HistoryQuery(text=text))) == expected


@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_show_each_message_once_while_others_append_and_prune(
    store: HistoryStore, newest_first: bool
) -> None:
    await store.append([message(n) for n in range(10)])
    seen: list[StoredMessage] = []
    after: int | None = None
    while page := await store.query(HistoryQuery(limit=3, after=after, newest_first=newest_first)):
        seen += page
        after = page[-1].seq
        if len(seen) == 3:
            await store.append([message(10)])
            await store.prune(Retention(max_age=100.0), now=1_100.5)  # m0 has just grown too old
    expected = [f"m{n}" for n in range(9, 0, -1)] if newest_first else [f"m{n}" for n in range(11)]
    assert ids(seen) == expected


async def test_positions_of_pruned_messages_are_not_given_again(store: HistoryStore) -> None:
    await store.append([message(n) for n in range(3)])
    (last,) = await store.query(HistoryQuery(limit=1))
    await store.prune(Retention(max_messages=0))
    await store.append([message(1)])
    assert ids(await store.query(HistoryQuery(after=last.seq, newest_first=False))) == ["m1"]


async def test_conversation_returns_the_latest_ones_of_that_conversation(store: HistoryStore) -> None:
    await store.append([message(n, conversation_id=f"c{n % 2}") for n in range(10)])
    assert ids(await store.conversation("c1", limit=2)) == ["m7", "m9"]
    assert await store.conversation("unknown") == []


async def test_stats_sum_over_all(store: HistoryStore) -> None:
    await store.append(
        [message(n, tokens=10, input_tokens=7, output_tokens=3, cost=0.5, created=100.0 + n) for n in range(4)]
    )
    assert await store.stats(HistoryQuery()) == [
        HistoryStats(messages=4, tokens=40, input_tokens=28, output_tokens=12, cost=2.0, first=100.0, last=103.0)
    ]


async def test_stats_of_nothing_are_zero(store: HistoryStore) -> None:
    assert await store.stats(HistoryQuery()) == [HistoryStats()]
    assert await store.stats(HistoryQuery(), group_by="agent") == []


async def test_stats_say_when_a_price_is_missing(store: HistoryStore) -> None:
    await store.append([message(1, tokens=5, cost=None), message(2, tokens=0, cost=None), message(3, cost=0.25)])
    (found,) = await store.stats(HistoryQuery())
    assert (found.cost, found.cost_known) == (0.25, False)
    (of_user,) = await store.stats(HistoryQuery(role="user"))
    assert of_user.cost_known


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("agent", [("editor", 3), ("writer", 2)]),
        ("role", [("user", 3), ("assistant", 2)]),
        ("model", [("", 4), ("m", 1)]),
        ("conversation", [("c1", 4), ("c2", 1)]),
        ("day", [("1970-01-02", 3), ("1970-01-01", 2)]),
        (None, [("", 5)]),
    ],
)
async def test_stats_group_by_each_key_with_most_messages_first(
    store: HistoryStore, group_by: Any, expected: list[tuple[str, int]]
) -> None:
    await store.append(
        [
            message(0, created=0.0),
            message(1, created=DAY - 0.001),
            message(2, node="editor", created=DAY),
            message(3, node="editor", created=DAY + 1, model="m"),
            message(4, node="editor", created=DAY + 2, conversation_id="c2"),
        ]
    )
    assert [(s.key, s.messages) for s in await store.stats(HistoryQuery(), group_by=group_by)] == expected


async def test_stats_honour_conditions_and_limit(store: HistoryStore) -> None:
    await store.append([message(n, node=f"n{n % 3}") for n in range(9)])
    assert [s.key for s in await store.stats(HistoryQuery(limit=2), group_by="agent")] == ["n0", "n1"]
    (found,) = await store.stats(HistoryQuery(agent="n2", role="user"))
    assert found.messages == 2


async def test_stats_refuse_an_unknown_grouping(store: HistoryStore) -> None:
    unknown: Any = "seq; --"
    with pytest.raises(ValueError, match="group_by must be one of 'agent'"):
        await store.stats(HistoryQuery(), group_by=unknown)


async def test_count_counts_what_fulfils_the_conditions_without_a_limit(store: HistoryStore) -> None:
    await store.append([message(n) for n in range(7)])
    assert await store.count() == 7
    assert await store.count(HistoryQuery(role="user", limit=1)) == 4


async def test_conversations_come_latest_first(store: HistoryStore) -> None:
    await store.append([message(n, conversation_id=f"c{n % 3}", tokens=n) for n in range(6)])
    await store.append([message(6, conversation_id="c0", node="editor", tokens=6)])
    found = await store.conversations()
    assert [(c.conversation_id, c.messages, c.tokens) for c in found] == [("c0", 3, 9), ("c2", 2, 7), ("c1", 2, 5)]
    assert (found[0].first, found[0].last) == (1_000.0, 1_006.0)
    assert [c.conversation_id for c in await store.conversations("writer", limit=1)] == ["c2"]
    assert await store.conversations("nobody") == []


async def test_conversations_that_can_be_gone_on_with_are_those_with_a_payload(store: HistoryStore) -> None:
    await store.append([message(n, conversation_id="c1", payload=b"[]" if n == 1 else None) for n in range(3)])
    await store.append([message(3, conversation_id="c2")])
    await store.append([message(4, conversation_id="c3", node="editor", payload=b"[]")])
    await store.append([message(5, conversation_id=conversation_of("editor", "alice"), node="editor", payload=b"[]")])

    found = await store.conversations(restorable=True)
    assert [(c.conversation_id, c.messages) for c in found] == [("c3", 1), ("c1", 1)]
    assert [c.conversation_id for c in await store.conversations("writer", restorable=True)] == ["c1"]


async def test_a_session_is_found_and_deleted_whatever_its_node(store: HistoryStore) -> None:
    names = ["alice", "a%", "a_b", "x" * 200, "\u00fc" * 200, "c/alice"]
    for number, name in enumerate(names):
        for node in ("writer", "w/alice"):
            one = message(number, id=f"{node}{number}", conversation_id=conversation_of(node, name), node=node)
            await store.append([one])
    await store.append([message(9, conversation_id="alice"), message(10, conversation_id="own/alice")])

    assert [one.id for one in await store.query(HistoryQuery(session="alice"))] == ["w/alice0", "writer0"]
    assert await store.count(HistoryQuery(session="a_b", agent="writer")) == 1
    assert await store.forget("alice", agent="writer") == 1
    assert await store.forget("alice") == 1
    assert await store.forget("alice") == 0
    assert [await store.forget(name) for name in names] == [0, 2, 2, 2, 2, 2]
    assert await store.count() == 2


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(), ["m0", "m1", "m2", "m3", "m4", "m5"]),
        (Retention(max_age=2.0), ["m3", "m4", "m5"]),
        (Retention(max_messages=2), ["m4", "m5"]),
        (Retention(max_messages=0), []),
        (Retention(max_messages=6), ["m0", "m1", "m2", "m3", "m4", "m5"]),
        (Retention(max_per_conversation=2), ["m1", "m3", "m4", "m5"]),
        (Retention(max_per_conversation=0), []),
        (Retention(max_messages=3, max_per_conversation=2), ["m3", "m4", "m5"]),
        (Retention(max_age=3.0, max_messages=3, max_per_conversation=1), ["m4", "m5"]),
    ],
)
async def test_prune_keeps_the_latest_within_every_limit(
    store: HistoryStore, retention: Retention, left: list[str]
) -> None:
    await store.append([message(n, conversation_id="odd" if n in {1, 5} else "c1", created=n) for n in range(5)])
    await store.append([message(5, conversation_id="c2", created=5.0)])
    deleted = await store.prune(retention, now=5.0)
    assert ids(await store.query(HistoryQuery(newest_first=False))) == left
    assert deleted == 6 - len(left)


async def test_prune_without_a_time_uses_the_time_of_the_system(store: HistoryStore) -> None:
    await store.append([message(1)])  # of 1970
    assert await store.prune(Retention(max_age=3600.0)) == 1


async def test_prune_deletes_more_than_one_transaction_holds(store: HistoryStore) -> None:
    await store.append([message(n, conversation_id=f"c{n % 2}") for n in range(2_500)])
    assert await store.prune(Retention(max_per_conversation=3)) == 2_494
    assert await store.count() == 6


@pytest.mark.parametrize("limit", [0, -1, 10_001])
async def test_limits_out_of_range_are_refused(store: HistoryStore, limit: int) -> None:
    with pytest.raises(ValueError, match="limit must be 1 to 10000"):
        await store.conversations(limit=limit)
    with pytest.raises(ValueError, match="limit must be 1 to 10000"):
        await store.conversation("c1", limit=limit)


async def test_store_that_is_not_open_says_so(closed_store: HistoryStore) -> None:
    for attempt in (closed_store.append([message(1)]), closed_store.count(), closed_store.prune(Retention())):
        with pytest.raises(StorageError, match="is not open"):
            await attempt
    await closed_store.open()
    await closed_store.close()
    with pytest.raises(StorageError, match="is not open"):
        await closed_store.append([])


async def test_open_and_close_may_be_repeated_and_keep_what_was_appended(closed_store: HistoryStore) -> None:
    await closed_store.open()
    await closed_store.open()
    await closed_store.append([message(1)])
    await closed_store.close()
    await closed_store.close()
    async with closed_store:
        assert ids(await closed_store.conversation("c1")) == ["m1"]
