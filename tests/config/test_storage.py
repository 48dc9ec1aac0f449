import pytest

from tests.config.manifest_text import problem_of, read


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("memory", ["memory"]),
        ("{}", ["sqlite"]),
        ("{type: sqlite, path: h.db}", ["sqlite"]),
        ("{providers: [sqlite, {type: memory, capacity: 5}]}", ["sqlite", "memory"]),
        ("{type: sql, url: 'sqlite:///h.db'}", ["sql"]),
        ("{type: sqlite, url: 'sqlite:///h.db'}", ["sqlite"]),
        ("{type: postgres, url: 'postgresql://u:p@h/d'}", ["postgres"]),
    ],
)
def test_the_forms_of_storage_are_read(text: str, kinds: list[str]) -> None:
    storage = read(f"storage: {text}").storage

    assert storage is not None
    assert [store.type for store in storage.providers] == kinds


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("tape", "", "expected 'sqlite', 'postgres', 'sql' or 'memory'"),
        ("{type: postgres}", ".url", "is required with 'type: postgres'"),
        ("{type: memory, path: x}", ".type", "takes neither"),
        ("{type: sqlite, path: x, url: y}", ".path", "does not go with 'url'"),
        (
            "{type: postgres, path: x, url: 'postgresql://h/d'}",
            ".path",
            "does not go with 'type: postgres'",
        ),
        ("{type: postgres, url: 'sqlite:///h.db'}", ".type", "does not fit the address in 'url'"),
        ("{type: sqlite, url: 'postgresql://h/d'}", ".type", "write sqlite://..."),
        ("{type: sqlite, capacity: 5}", ".capacity", "goes with 'type: memory' only"),
        (
            "{providers: [{type: memory, max_messages: 5}]}",
            ".providers[0].max_messages",
            "write 'capacity' for 'memory'",
        ),
        ("{max_messages: 5}", ".max_messages", "write it under 'retention'"),
        ("{providers: []}", ".providers", "must not be empty"),
        ("{providers: [memory, sqlite, memory]}", ".providers", "store 3 is the same as store 1"),
        ("{retention: {max_per_agent: 5}}", ".retention.max_per_agent", "did you mean"),
        ("{log_message: true}", ".log_message", "did you mean 'log_messages'?"),
        ("{retention: {max_age: 0}}", ".retention.max_age", "must be greater than 0"),
        ("5", "", "expected a map of keys"),
    ],
)
def test_wrong_storage_is_refused_with_its_place(text: str, path: str, expected: str) -> None:
    problem = problem_of(f"storage: {text}")

    assert (problem.path, expected in problem.message) == (f"storage{path}", True)
