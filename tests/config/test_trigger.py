import pytest

from actors.config.trigger import (
    EmailTrigger,
    FileTrigger,
    IntervalTrigger,
    ScheduleTrigger,
    TriggerSpec,
    WebhookTrigger,
)
from tests.config.manifest_text import problem_of, read


def text(trigger: str) -> str:
    return f"agents: {{a: {{triggers: [{trigger}]}}, b: {{}}}}"


def first(trigger: str) -> TriggerSpec:
    return read(text(trigger)).agents["a"].triggers[0]


def test_a_file_trigger_is_read() -> None:
    found = first(
        "{type: file, name: f, paths: 'docs/**/*.md', extensions: [MD, '*.txt'], ignore: [x], debounce: 1s, root: docs}"
    )

    assert isinstance(found, FileTrigger)
    assert (found.paths, found.extensions, found.ignore_paths) == (("docs/**/*.md",), (".md", ".txt"), ("x",))
    assert (found.debounce, found.recursive) == (1.0, True)


@pytest.mark.parametrize(
    ("written", "seconds"), [("300", 0.3), ("0", 0.0), ("1600", 1.6), ("2s", 2.0), ("150ms", 0.15)]
)
def test_a_plain_debounce_is_milliseconds(written: str, seconds: float) -> None:
    found = first(f"{{type: file, name: f, paths: x, debounce: {written}}}")

    assert isinstance(found, FileTrigger)
    assert found.debounce == pytest.approx(seconds)


def test_a_webhook_may_have_several_secrets() -> None:
    found = first("{type: webhook, name: w, port: 0, path: /in, secrets: [one, two]}")

    assert isinstance(found, WebhookTrigger)
    assert [secret.get_secret_value() for secret in found.secret] == ["one", "two"]
    assert (found.host, found.window) == ("127.0.0.1", 300.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_a_webhook_on_loopback_needs_no_secret(host: str) -> None:
    assert first("{type: webhook, name: w, port: 1, path: /in}").enabled
    assert first(f"{{type: webhook, name: w, port: 1, path: /in, host: '{host}'}}").enabled


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "localhost.example.org"])
def test_a_webhook_on_another_address_without_a_secret_must_say_so_or_be_off(host: str) -> None:
    faulty = f"{{type: webhook, name: w, port: 1, path: /in, host: '{host}'}}"

    assert f"a webhook on {host} needs a secret" in problem_of(text(faulty)).message
    assert first(faulty.replace("host", "enabled: false, host")).enabled is False
    assert first("{type: webhook, name: w, port: 1, path: /in, insecure: true}").enabled


@pytest.mark.parametrize("kind", ["time", "schedule"])
def test_a_schedule_has_two_names(kind: str) -> None:
    found = first(
        f"{{type: {kind}, name: t, schedule: '0 9 * * *', prompt: x, timezone: Europe/Berlin, skip_missed: true}}"
    )

    assert isinstance(found, ScheduleTrigger)
    assert (found.schedule, found.timezone, found.skip_missed) == ("0 9 * * *", "Europe/Berlin", True)


def test_an_interval_and_an_email_trigger_are_read() -> None:
    every = first("{type: interval, name: i, every: 5m, prompt: x, jitter: 10s}")
    mail = first("{type: email, name: e, host: h, username: u, password: p, filters: {from: x}, check_interval: 2m}")

    assert isinstance(every, IntervalTrigger)
    assert isinstance(mail, EmailTrigger)
    assert (every.every, every.jitter, mail.check_interval, mail.port) == (300.0, 10.0, 120.0, 993)


def test_the_common_keys_are_read() -> None:
    found = first(
        "{type: connection, name: c, event: queue_filled, source: a, target: b, condition: message.tokens > 1,"
        " enabled: no,"
        " template: 'News: {prompt}', include_metadata: false, include_timestamp: false, concurrency: 3,"
        " queue: {capacity: 10, overflow: drop_oldest}}"
    )

    assert (found.enabled, found.concurrency, found.queue.capacity, found.template) == (False, 3, 10, "News: {prompt}")


@pytest.mark.parametrize(
    "pattern",
    ["../x", "a/../../x", "..", "/etc/*", "~/x", "~root/x", "C:/x", "C:x", "a\\..\\b", "\\\\host\\share", "", " "],
)
def test_a_pattern_that_leaves_its_root_is_refused(pattern: str) -> None:
    problem = problem_of(text(f"{{type: file, name: f, paths: [ok, '{pattern}']}}"))

    assert (problem.path, "below the root" in problem.message) == ("agents.a.triggers[0].paths[1]", True)


@pytest.mark.parametrize("pattern", ["a..b", "notes/**/*.md", "[ab]?.txt", "..hidden", "a/...", "x~"])
def test_a_pattern_below_its_root_is_accepted(pattern: str) -> None:
    found = first(f"{{type: file, name: f, paths: ['{pattern}']}}")

    assert isinstance(found, FileTrigger)
    assert found.paths == (pattern,)


@pytest.mark.parametrize(
    ("trigger", "path", "expected"),
    [
        ("{type: file, paths: x}", ".name", "is required"),
        ("{type: files, name: f}", ".type", "unknown type 'files'; did you mean 'file'"),
        ("{type: file, name: f}", ".paths", "is required"),
        ("{type: file, name: f, paths: []}", ".paths", "must not be empty"),
        ("{type: file, name: f, paths: x, extensions: [.]}", ".extensions[0]", "expected a file extension"),
        ("{type: file, name: f, paths: x, ignore_paths: [../y]}", ".ignore_paths[0]", "below the root"),
        ("{type: webhook, name: w, path: /x, secret: s}", ".port", "is required"),
        ("{type: webhook, name: w, port: 65536, path: /x, secret: s}", ".port", "must be at most 65535"),
        ("{type: webhook, name: w, port: -1, path: /x, secret: s}", ".port", "must be at least 0"),
        ("{type: webhook, name: w, port: http, path: /x, secret: s}", ".port", "expected a whole number"),
        ("{type: webhook, name: w, port: 1, path: x, secret: s}", ".path", "expected a URL path"),
        ("{type: webhook, name: w, port: 1, path: /a/../b, secret: s}", ".path", "expected a URL path"),
        ("{type: webhook, name: w, port: 1, path: /x, secret: ''}", ".secret", "must not be empty"),
        ("{type: webhook, name: w, port: 1, path: /x, secret: 5}", ".secret", "expected a list"),
        ("{type: webhook, name: w, port: 1, path: /x, secret: s, insecure: true}", ".insecure", "does not go with"),
        ("{type: time, name: t, schedule: 0 9 * * *}", ".prompt", "is required"),
        (
            "{type: time, name: t, schedule: 0 9 * * *, prompt: y, timezone: Mars/City}",
            ".timezone",
            "expected a time zone",
        ),
        (
            "{type: time, name: t, schedule: 0 9 * * *, prompt: y, timezone: ../../etc/passwd}",
            ".timezone",
            "expected a time zone",
        ),
        ("{type: interval, name: i, every: 0, prompt: y}", ".every", "must be greater than 0"),
        ("{type: email, name: e, host: h, username: u}", ".password", "is required"),
        ("{type: email, name: e, host: h, username: u, password: p, port: 0}", ".port", "must be at least 1"),
        ("{type: email, name: e, host: h, username: u, password: p, filters: {x: y}}", ".filters", "unknown key 'x'"),
        ("{type: connection, name: c, event: x}", ".event", "expected 'message_received'"),
        ("{type: connection, name: c, event: queue_filled, source: z}", ".source", "there is no agent or team 'z'"),
        ("{type: file, name: f, paths: x, template: '{{ prompt }}'}", ".template", "Jinja"),
        ("{type: file, name: f, paths: x, session: '{user}'}", ".session", "unknown place {user}"),
        ("{type: file, name: f, paths: x, concurrency: 0}", ".concurrency", "must be at least 1"),
        ("{type: file, name: f, paths: x, queue: {capacity: 0}}", ".queue.capacity", "must be at least 1"),
    ],
)
def test_a_wrong_trigger_is_refused_with_its_place(trigger: str, path: str, expected: str) -> None:
    problem = problem_of(text(trigger))

    assert (problem.path, problem.line) == (f"agents.a.triggers[0]{path}", 1)
    assert expected in problem.message


def test_two_triggers_of_one_name_are_refused() -> None:
    both = "{type: file, name: f, paths: x}, {type: file, name: f, paths: y}"

    assert "two triggers have the name 'f'" in problem_of(text(both)).message


def test_two_webhooks_in_one_place_are_refused_unless_one_is_off() -> None:
    hook = "{{type: webhook, name: {}, port: 80, path: /x, secret: s, enabled: {}}}"

    assert (
        "same port 80 and path '/x'"
        in problem_of(text(f"{hook.format('a', 'yes')}, {hook.format('b', 'yes')}")).message
    )
    assert len(read(text(f"{hook.format('a', 'yes')}, {hook.format('b', 'no')}")).agents["a"].triggers) == 2
