import pytest

from actors.config.connection import CallableConnection, FileConnection, NodeConnection
from tests.config.manifest_text import problem_of, read


def text(connection: str) -> str:
    return f"allow_imports: [pkg]\nagents: {{a: {{connections: [{connection}]}}, b: {{}}}}"


def test_a_connection_to_a_node_is_read() -> None:
    (found,) = (
        read(
            text(
                "{type: node, name: b, connection_type: context, wait_for_completion: no, queued: true, "
                "queue_strategy: concat,"
                " priority: -1, transform: 'pkg.mod:change', label: first, per_member: true,"
                " queue: {capacity: 5}}"
            )
        )
        .agents["a"]
        .connections
    )

    assert isinstance(found, NodeConnection)
    assert (found.wait_for_completion, found.queue.capacity, found.priority) == (False, 5, -1)


def test_a_delay_may_be_written_in_several_ways() -> None:
    found = read(text(", ".join(f"{{type: node, name: b, delay: {delay}}}" for delay in ("5", "5s", "PT5S"))))

    assert [connection.delay for connection in found.agents["a"].connections] == [5.0, 5.0, 5.0]


def test_one_agent_may_have_several_connections_of_every_kind() -> None:
    found = (
        read(
            text(
                "{type: node, name: b}, {type: node, target: b}, {type: file, path: 'logs/{date}/{agent}-{time}.txt'},"
                " {type: callable, callable: 'pkg:f', kw_args: {a: 1, b: [x]}}"
            )
        )
        .agents["a"]
        .connections
    )

    assert [type(item) for item in found] == [NodeConnection, NodeConnection, FileConnection, CallableConnection]
    assert isinstance(found[3], CallableConnection)
    assert found[3].kw_args == {"a": 1, "b": ["x"]}


@pytest.mark.parametrize(
    ("connection", "path", "expected"),
    [
        ("{name: b}", ".type", "is required"),
        ("{type: nodes, name: b}", ".type", "unknown type 'nodes'; did you mean 'node'?"),
        ("{type: node}", ".name", "is required"),
        ("{type: node, name: bb}", ".name", "there is no agent or team 'bb'"),
        ("{type: node, name: b, delay: soon}", ".delay", "expected a time"),
        ("{type: node, name: b, delay: -1}", ".delay", "between 0 and ten years"),
        ("{type: node, name: b, priority: true}", ".priority", "expected a number"),
        ("{type: node, name: b, priority: high}", ".priority", "expected a whole number"),
        ("{type: node, name: b, queue_strategy: concat}", ".queue_strategy", "has no effect without 'queued: true'"),
        ("{type: node, name: b, queued: true, delay: 5s}", ".delay", "does not go with 'queued: true'"),
        ("{type: node, name: b, queued: true, queue: {overflow: wait}}", ".queue", "a connection cannot wait"),
        ("{type: node, name: b, kw_args: {}}", ".kw_args", "unknown key 'kw_args'"),
        ("{type: node, name: b, transform: 'other:f'}", ".transform", "'other:f' is not allowed"),
        ("{type: file}", ".path", "is required"),
        ("{type: file, path: ../x}", ".path", "without '~' and '..'"),
        ("{type: file, path: '~/x'}", ".path", "without '~' and '..'"),
        ("{type: file, path: 'a\\..\\x'}", ".path", "without '~' and '..'"),
        ("{type: file, path: logs/}", ".path", "expected the path of a file"),
        ('{type: file, path: "a\\nb"}', ".path", "without line breaks"),
        ("{type: file, path: '{agnet}'}", ".path", "unknown place {agnet}; did you mean 'agent'?"),
        ("{type: file, path: x, template: '{{ content }}'}", ".template", "Jinja templates are not supported"),
        ("{type: file, path: x, template: '{content'}", ".template", "a single '{'"),
        ("{type: file, path: x, encoding: klingon}", ".encoding", "there is no text encoding 'klingon'"),
        ("{type: callable}", ".callable", "is required"),
        ("{type: callable, callable: 'os:system'}", ".callable", "'os:system' is not allowed"),
        ("{type: callable, callable: 'pkg:f', kw_args: [x]}", ".kw_args", "expected a map of keys"),
        ("node", "", "expected a map of keys"),
    ],
)
def test_a_wrong_connection_is_refused_with_its_place(connection: str, path: str, expected: str) -> None:
    problem = problem_of(text(connection))

    assert (problem.path, problem.line) == (f"agents.a.connections[0]{path}", 2)
    assert expected in problem.message
