from __future__ import annotations

import asyncio
import imaplib
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.trigger import EmailTrigger
from actors.triggers import Ready
from actors.triggers.mail import folder as folder_module
from actors.triggers.mail.folder import Mail, MailFolder
from actors.triggers.mail.source import PollNow
from protocols.triggers import MailReceived, TriggerConfigError, TriggerError
from tests.support.waiting import TIMEOUT
from tests.triggers.mail.imap_server import PASSWORD, USER, ImapServer, running_server
from tests.triggers.started import RecordingNode, StartedTriggers, start_triggers

if TYPE_CHECKING:
    from collections.abc import Generator

    from actors.runtime.system import ActorSystem


@pytest.fixture(scope="module")
def imap() -> Generator[ImapServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(imap: ImapServer) -> ImapServer:
    with Mailbox(imap) as box:
        box.delete_all()
    return imap


class Mailbox:
    """The mailbox as its owner sees it."""

    def __init__(self, server: ImapServer) -> None:
        self._client = imaplib.IMAP4("127.0.0.1", server.port, timeout=TIMEOUT)

    def __enter__(self) -> Mailbox:
        self._client.login(USER, PASSWORD)
        self._client.select()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.logout()

    def put(
        self, subject: str, *, sender: str = "bob@example.org", text: str = "Hello", raw: bytes | None = None
    ) -> None:
        message = EmailMessage()
        message["Subject"] = subject
        message["From"] = sender
        message["To"] = "ada@example.org"
        message.set_content(text)
        self._client.append("INBOX", "", "", raw or message.as_bytes())

    def unseen(self) -> int:
        self._client.select()
        _, found = self._client.search(None, "UNSEEN")
        return len(found[0].split())

    def delete_all(self) -> None:
        _, found = self._client.search(None, "ALL")
        if found[0]:
            self._client.store("1:*", "+FLAGS", r"\Deleted")
            self._client.expunge()

    def mark_read(self) -> None:
        self._client.select()
        self._client.store("1:*", "+FLAGS", r"\Seen")


def email(server: ImapServer, **keys: Any) -> EmailTrigger:
    return EmailTrigger.model_validate(
        {
            "type": "email", "name": "mail", "host": "127.0.0.1", "port": server.port, "ssl": False,
            "username": USER, "password": PASSWORD, "check_interval": 0.05, **keys,
        }
    )  # fmt: skip


async def open_stage(system: ActorSystem, node: RecordingNode, config: EmailTrigger) -> StartedTriggers:
    stage = await start_triggers(system, [config], node)
    await stage.ready()
    return stage


async def look_again(stage: StartedTriggers) -> None:
    """Wait for the end of a look that begins after this call."""
    await stage.refs["n/mail"].ask(PollNow(), timeout=TIMEOUT)


async def test_a_new_mail_starts_a_run_with_sender_subject_and_text(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, email(server, include_timestamp=False, include_metadata=False))

    with Mailbox(server) as box:
        box.put("Grüße", text="Are you there?")
    mail: MailReceived = await node.next_event()

    assert (mail.sender, mail.subject, mail.recipients) == ("bob@example.org", "Grüße", ("ada@example.org",))
    assert node.prompts == ["E-mail from: bob@example.org\nSubject: Grüße\n\nAre you there?"]


async def test_only_what_was_accepted_is_marked_as_read(actor_system: ActorSystem, server: ImapServer) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    with Mailbox(server) as box:
        for number in range(4):
            box.put(f"{number}")
    stage = await open_stage(actor_system, node, email(server, queue={"capacity": 1}, check_interval=3_600))
    await look_again(stage)

    with Mailbox(server) as box:
        left = box.unseen()
    node.gate.set()
    for _ in range(3):
        await look_again(stage)

    assert (left, stage.plan.triggers[0].statistics().dead_lettered) == (2, 0)
    assert [event.subject for event in node.events] == ["0", "1", "2", "3"]  # type: ignore[attr-defined]
    with Mailbox(server) as box:
        assert box.unseen() == 0


async def test_mail_that_is_not_to_be_marked_stays_unread_and_runs_once(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = RecordingNode()
    with Mailbox(server) as box:
        box.put("one")
    stage = await open_stage(actor_system, node, email(server, mark_seen=False, check_interval=3_600))
    await look_again(stage)
    await look_again(stage)

    with Mailbox(server) as box:
        assert box.unseen() == 1
    assert len(node.events) == 1


async def test_mail_that_was_read_already_starts_nothing(actor_system: ActorSystem, server: ImapServer) -> None:
    node = RecordingNode()
    with Mailbox(server) as box:
        box.put("old")
        box.mark_read()
        box.put("new")
    await open_stage(actor_system, node, email(server))

    mail: MailReceived = await node.next_event()

    assert mail.subject == "new"


@pytest.mark.parametrize(
    ("filters", "subjects"),
    [
        ({"from": "bob"}, ["a"]),
        ({"subject": 'say "hi"'}, ['say "hi"']),
        ({"subject": "Grüße"}, ["Grüße"]),
        ({"body": "needle"}, ["c"]),
        ({"from": "bob", "subject": "zzz"}, []),
    ],
)
async def test_filters_choose_the_mail(
    actor_system: ActorSystem, server: ImapServer, filters: dict[str, str], subjects: list[str]
) -> None:
    node = RecordingNode()
    with Mailbox(server) as box:
        box.put("a", sender="bob@x.org")
        box.put('say "hi"', sender="eve@x.org")
        box.put("Grüße", sender="eve@x.org")
        box.put("c", sender="eve@x.org", text="hay needle hay")
    stage = await open_stage(actor_system, node, email(server, filters=filters, check_interval=3_600))
    await look_again(stage)

    assert [event.subject for event in node.events] == subjects  # type: ignore[attr-defined]
    with Mailbox(server) as box:
        assert box.unseen() == 4 - len(subjects)


async def test_mail_that_is_too_large_is_left_out_and_stays_unread(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = RecordingNode()
    with Mailbox(server) as box:
        box.put("huge", text="x" * 5_000)
        box.put("small")
    stage = await open_stage(actor_system, node, email(server, max_size=2_000, check_interval=3_600))
    await look_again(stage)

    assert [event.subject for event in node.events] == ["small"]  # type: ignore[attr-defined]
    (letter,) = actor_system.dead_letters
    assert "more than max_size=2000" in str(letter.cause)
    assert stage.plan.triggers[0].statistics().dead_lettered == 1
    with Mailbox(server) as box:
        assert box.unseen() == 1


MALFORMED = {
    "no headers": b"just text",
    "wrong charset": b"From: a@b.c\r\nSubject: x\r\nContent-Type: text/plain; charset=no-such\r\n\r\n\xff\xfe",
    "broken header": b"From: =?utf-8?b?////?=\r\nSubject: =?x?q?\xff?=\r\n\r\nbody",
    "open multipart": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi",
    "bad address": b"From: <<<>>>,,,@@\r\nSubject: x\r\n\r\nbody",
    "nested": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 1_000,
    "long header": b"Content-Type: text/plain" + b";" * 100_000 + b"\r\n\r\nbody",
    "long header of a multipart": b"Content-Type: multipart/mixed" + b";" * 100_000 + b"\r\n\r\nbody",
    "slow charset": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"aa-b" * 100_000,
    "slow charset of a header": b"Subject: =?punycode?q?" + b"aa-b" * 1_000 + b"?=\r\n\r\nbody",
    "tags without an end": b"Content-Type: text/html\r\n\r\n" + b"<a " * 200_000,
    "bad date": b"Date: not a date\r\nSubject: x\r\n\r\nbody",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_mail_does_not_hold_up_the_next_one(
    actor_system: ActorSystem, server: ImapServer, raw: bytes
) -> None:
    node = RecordingNode()
    with Mailbox(server) as box:
        box.put("", raw=raw)
        box.put("good")
    stage = await open_stage(actor_system, node, email(server, check_interval=3_600))
    await look_again(stage)

    assert node.events[-1].subject == "good"  # type: ignore[attr-defined]
    assert stage.plan.triggers[0].statistics().restarts == 0


async def test_an_html_mail_is_read_as_text_and_attachments_are_named(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = RecordingNode()
    message = EmailMessage()
    message["From"] = "bob@example.org"
    message["Subject"] = "x"
    message.set_content("<p>Dear <b>Ada</b></p><script>evil()</script>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="bill.pdf")
    with Mailbox(server) as box:
        box.put("", raw=message.as_bytes())
    await open_stage(actor_system, node, email(server))

    mail: MailReceived = await node.next_event()

    assert (mail.body, mail.attachments) == ("Dear Ada", ("bill.pdf",))


async def test_a_blank_text_part_gives_way_to_the_html(actor_system: ActorSystem, server: ImapServer) -> None:
    node = RecordingNode()
    message = EmailMessage()
    message.set_content(" \n\n")
    message.add_alternative("<head><p>Dear Ada", subtype="html")
    with Mailbox(server) as box:
        box.put("", raw=message.as_bytes())
    await open_stage(actor_system, node, email(server))

    mail: MailReceived = await node.next_event()

    assert mail.body == "Dear Ada"


async def test_a_mail_on_which_the_connection_breaks_again_and_again_is_a_dead_letter_and_the_next_one_runs(
    actor_system: ActorSystem, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(uid: int, data: bytes) -> Mail:
        if b"poison" in data:
            raise imaplib.IMAP4.abort
        return read(uid, data)

    read = folder_module.read_mail
    monkeypatch.setattr(folder_module, "read_mail", breaking)
    node = RecordingNode()
    with Mailbox(server) as box:
        for subject in ("before", "poison", "after"):
            box.put(subject)
    await start_triggers(actor_system, [email(server, backoff=0.001, check_interval=0.001)], node)

    assert [(await node.next_event()).subject for _ in range(2)] == ["before", "after"]
    (letter,) = (letter for letter in actor_system.dead_letters if isinstance(letter.message, MailReceived))
    assert "the connection broke 5 times" in str(letter.cause)


async def test_more_mail_than_one_look_brings_is_read_without_waiting(
    actor_system: ActorSystem, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.triggers.mail.folder.MOST_AT_ONCE", 2)
    node = RecordingNode()
    with Mailbox(server) as box:
        for number in range(5):
            box.put(f"{number}")
    await open_stage(actor_system, node, email(server, check_interval=3_600))

    assert [(await node.next_event()).subject for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_a_server_that_goes_down_and_comes_back_costs_no_mail(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, email(server, backoff=0.01))
    source = stage.refs["n/mail"]

    await asyncio.to_thread(server.stop)
    with pytest.raises(TriggerError, match=r"e-mail of 'ada' at 127\.0\.0\.1") as caught:
        await look_again(stage)
    await asyncio.to_thread(server.start)
    with Mailbox(server) as box:
        box.put("after")
    await source.ask(Ready(), timeout=None)
    mail: MailReceived = await node.next_event()

    assert mail.subject == "after"
    assert PASSWORD not in str(caught.value)
    assert stage.plan.triggers[0].statistics().restarts >= 1


async def test_a_wrong_password_says_so_without_showing_it(actor_system: ActorSystem, server: ImapServer) -> None:
    config = email(server, password="not-it-at-all", backoff=0.01)
    stage = await start_triggers(actor_system, [config], RecordingNode())

    with pytest.raises(TriggerError, match="AUTHENTICATIONFAILED") as caught:
        await stage.refs["n/mail"].ask(Ready(), timeout=TIMEOUT)

    assert "not-it-at-all" not in str(caught.value) + repr(config)


async def test_a_folder_that_does_not_exist_says_so(actor_system: ActorSystem, server: ImapServer) -> None:
    stage = await start_triggers(actor_system, [email(server, folder="Nowhere", backoff=5)], RecordingNode())

    with pytest.raises(TriggerError, match="folder 'Nowhere'"):
        await stage.refs["n/mail"].ask(Ready(), timeout=TIMEOUT)


def test_numbers_of_another_validity_mean_other_mail(server: ImapServer) -> None:
    config = email(server)
    folder = MailFolder(config, PASSWORD, who="test")
    with Mailbox(server) as box:
        box.put("a")
        box.put("b")

    first = folder.poll("", 0)
    same = folder.poll(first.validity, first.mails[-1].uid)
    other = folder.poll("another", first.mails[-1].uid)

    assert [mail.subject for mail in first.mails] == ["a", "b"]
    assert same.mails == ()
    assert other.mails == first.mails


def test_an_encrypted_connection_is_not_made_to_a_server_that_has_none(server: ImapServer) -> None:
    folder = MailFolder(email(server, ssl=True), PASSWORD, who="test")

    with pytest.raises(TriggerError, match="SSL"):
        folder.poll("", 0)


@pytest.mark.parametrize("key", ["host", "username", "folder", "password"])
def test_line_breaks_in_settings_are_refused(key: str) -> None:
    config = EmailTrigger.model_validate(
        {"type": "email", "name": "m", "host": "h", "username": "u", "password": "p", key: "x\r\nA1 LOGOUT"}
    )

    with pytest.raises(TriggerConfigError, match="line breaks"):
        MailFolder(config, config.password.get_secret_value(), who="trigger 'm'")


async def test_a_stop_does_not_wait_for_a_server_that_does_not_answer(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    connected = asyncio.Event()
    left: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        left.append(writer)
        connected.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        config = email(server, port=silent.sockets[0].getsockname()[1])
        stage = await start_triggers(actor_system, [config], RecordingNode())
        await connected.wait()
        await actor_system.in_thread(lambda: None)()

        async with asyncio.timeout(TIMEOUT):
            await stage.supervisor.stop(block=False)

        assert stage.refs["n/mail"].state == "stopped"
        for writer in left:
            writer.close()
