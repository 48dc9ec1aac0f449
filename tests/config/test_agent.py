import pytest

from tests.config.manifest_text import agent_problem, problems_of, read


def test_both_eras_spell_the_same_agent() -> None:
    old = read("agents: {a: {result_type: int, system_prompts: [x, y]}}")
    new = read("agents: {a: {output_type: int, system_prompt: [x, y]}}")

    assert old == new
    assert new.agents["a"].output_type == "int"
    assert [prompt.text for prompt in new.agents["a"].system_prompt] == ["x", "y"]


EVERY_KEY = """
        allow_imports: [pkg]
        agents:
          b: {}
          a:
            name: a
            description: d
            display_name: D
            model: {name: "openai:gpt-4o", settings: {temperature: 0.5}, fallbacks: [test]}
            system_prompts: [x, {file: p.md}, {callable: "pkg.mod:prompt"}]
            instructions: Be brief.
            user_prompts: [hello]
            result_type: Answer
            result_tool_name: final
            result_tool_description: The answer
            retries: 2
            output_retries: 3
            end_strategy: exhaustive
            tools: ["pkg.mod:tool", {import: pkg.mod.other, name: t, requires_confirmation: true}]
            toolsets: ["pkg.mod:set"]
            workers: [b, {node: b, name: ask_bee}]
            knowledge: {resources: ["http://localhost/x"], prompts: [p], callables: ["pkg:f"]}
            session: true
            requires_tool_confirmation: always
            triggers: []
            connections: []
            mcp_servers: ["uvx server --flag", "https://localhost/mcp"]
            input_provider: console
            max_concurrency: 4
            timeout: forever
            limits: {requests: 1, tokens: 100, cost: 0.5}
            crash_on: ["builtins:ConnectionError"]
            mailbox: {capacity: 5, overflow: drop_oldest}
            supervision: {restart: permanent, shutdown: 2s}
            parallel_init: false
            debug: true
        responses: {Answer: {fields: {text: str}}}
"""


def test_every_key_of_the_contract_is_read() -> None:
    agent = read(EVERY_KEY).agents["a"]

    assert agent.model is not None
    assert agent.model.settings is not None
    assert agent.model.settings.temperature == 0.5
    assert [tool.import_path for tool in agent.tools] == ["pkg.mod:tool", "pkg.mod.other"]
    assert [(worker.node, worker.name) for worker in agent.workers] == [("b", None), ("b", "ask_bee")]
    assert agent.timeout == float("inf")
    assert agent.limits is not None
    assert agent.limits.total_tokens == 100
    assert [(server.type, server.command, server.args) for server in agent.mcp_servers] == [
        ("stdio", "uvx", ("server", "--flag")),
        ("http", None, ()),
    ]
    assert agent.supervision is not None
    assert (agent.supervision.restart, agent.supervision.shutdown) == ("permanent", 2.0)


@pytest.mark.parametrize(
    ("keys", "path", "expected"),
    [
        ("model: [x]", "model", "expected text or a map of keys"),
        ("model: ''", "model", "must not be empty"),
        ("description: 5", "description", "expected text (put quotes around a number)"),
        ("description: [x]", "description", "expected text (put quotes around a number)"),
        ("retries: true", "retries", "expected a number"),
        ("retries: -1", "retries", "must be at least 0"),
        ("retries: 1.5", "retries", "expected a whole number"),
        ("debug: 1", "debug", "expected true or false"),
        ("debug: maybe", "debug", "expected true or false"),
        ("tools: x", "tools", "expected a list"),
        ("tools: [5]", "tools[0]", "expected text or a map of keys"),
        ("tools: {a: b}", "tools", "expected a list"),
        ("workers: [nobody]", "workers[0]", "there is no agent or team 'nobody'; known are a"),
        ("end_strategy: late", "end_strategy", "expected 'early', 'graceful' or 'exhaustive'"),
        ("timeout: soon", "timeout", "expected a time"),
        ("timeout: 0", "timeout", "must be greater than 0"),
        ("max_concurrency: 0", "max_concurrency", "must be at least 1"),
        ("limits: 5", "limits", "expected a map of keys"),
        ("limits: {cost: -1}", "limits.cost", "must be at least 0"),
        ("limits: {request: 1}", "limits.request", "unknown key 'request'; did you mean 'requests'?"),
        ("session: {enabled: 5}", "session.enabled", "expected true or false"),
        ("session: [x]", "session", "expected a map of keys"),
        ("output_type: Nothing", "output_type", "there is no response 'Nothing'"),
        ("output_type: 'os:system'", "output_type", "'os:system' is not allowed"),
        ("output_type: {fields: {x: stir}}", "output_type.fields.x", "there is no type 'stir'; did you mean 'str'"),
        ("mcp_servers: ['\"open']", "mcp_servers[0]", "not a command line"),
        ("mcp_servers: [{type: http}]", "mcp_servers[0].url", "is required with 'type: http'"),
        ("mcp_servers: [{url: 'ftp://x'}]", "mcp_servers[0].url", "expected an address"),
        ("mcp_servers: ['http://user:pass@x/mcp']", "mcp_servers[0]", "passwords in 'headers'"),
        ("mailbox: {overflow: burn}", "mailbox.overflow", "expected 'reject'"),
        (
            "supervision: {restart: sometimes}",
            "supervision.restart",
            "expected 'permanent', 'transient' or 'temporary'",
        ),
        ("system_prompt: {text: x, file: y}", "system_prompt.file", "exactly one of"),
        ("system_prompt: {}", "system_prompt.text", "exactly one of"),
        ("type: callback", "callback", "goes with 'type: callback'"),
        ("callback: 'builtins:str'", "callback", "goes with 'type: callback'"),
        ("type: callback, callback: 'builtins:str', model: test", "model", "has no effect: this agent is a function"),
        ("provider: litellm", "provider", "expected 'pydantic_ai' or 'callback'"),
        ("crash_on: ['builtins:print']", "crash_on[0]", "is not allowed"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(keys: str, path: str, expected: str) -> None:
    problem = agent_problem(keys)

    assert (problem.path, problem.line) == (f"agents.a.{path}", 1)
    assert expected in problem.message


@pytest.mark.parametrize(
    ("text", "enabled", "restored", "conversation", "tokens"),
    [
        ("true", True, True, None, None),
        ("false", False, False, None, None),
        ("1000", True, True, None, 1000),
        ("support", True, True, "support", None),
        ("{conversation: x, max_tokens: 5}", True, True, "x", 5),
        ("{restore: false}", True, False, None, None),
    ],
)
def test_a_session_has_short_forms(
    text: str, enabled: bool, restored: bool, conversation: str | None, tokens: int | None
) -> None:
    session = read(f"agents: {{a: {{session: {text}}}}}").agents["a"].session

    assert session is not None
    query = session.query()
    assert (query.is_enabled, query.is_restored, query.conversation, query.max_tokens) == (
        enabled,
        restored,
        conversation,
        tokens,
    )


def test_a_callback_agent_names_its_function_in_either_way() -> None:
    agents = read("""
        allow_imports: [pkg]
        agents:
          a: {type: callback, callback: "pkg:f"}
          b: {provider: {type: callback, callback: pkg.f}}
          c: {provider: pydantic_ai}
    """).agents

    assert [agent.function for agent in agents.values()] == ["pkg:f", "pkg.f", None]


def test_defaults_fill_in_what_a_node_leaves_open() -> None:
    manifest = read("""
        allow_imports: [pkg]
        defaults: {model: offline, timeout: 5, retries: 4}
        agents: {a: {timeout: 1}, f: {type: callback, callback: "pkg:f"}}
        teams: {t: {mode: parallel, members: [a]}}
    """)

    node = manifest.node("a")
    assert (node.timeout, manifest.node("t").timeout) == (1.0, 5.0)
    assert getattr(node, "retries", None) == 4
    assert getattr(node, "model", None) == manifest.defaults.model
    assert getattr(manifest.node("f"), "model", "unset") is None
    with pytest.raises(KeyError):
        manifest.node("nobody")


def test_names_may_hold_spaces_but_no_line_breaks() -> None:
    assert list(read('agents: {"My agent": {}}').agents) == ["My agent"]
    assert "expected a name" in problems_of('agents: {"a\\nb": {}}')[0].message
    assert "must not be empty" in problems_of('agents: {"": {}}')[0].message
