"""A real IMAP server (Dovecot) on loopback, with one mailbox in a directory of its own, for the time of some tests."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

REQUIRED = "UNDERSTAGE_REQUIRE_SERVERS"
USER = "ada"
PASSWORD = "pass-word"

_SETTINGS = """
base_dir = {home}/run
state_dir = {home}/run
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_internal_user = {account}
default_internal_group = {group}
default_login_user = {account}
mail_location = maildir:{home}/mail/%u
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={account} gid={group} home={home}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class ImapServer:
    """One server; `stop` and `start` are a server that goes down and comes back."""

    def __init__(self, program: str, home: Path) -> None:
        self.port = _free_port()
        self._program = program
        self._home = home
        self._account = _account()
        (home / "run").mkdir()
        (home / "mail").mkdir()
        self._configure()
        self._own(home)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it takes connections."""
        command = [self._program, "-F", "-c", str(self._home / "dovecot.conf")]
        user = self._account.pw_name if os.geteuid() == 0 else None
        group = self._account.pw_gid if os.geteuid() == 0 else None
        self._process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            user=user,
            group=group,
            extra_groups=[] if user else None,
            cwd="/",
        )
        assert self._process.stderr is not None
        said: list[str] = []
        for line in self._process.stderr:
            said.append(line)
            if "starting up" in line:
                return
        pytest.fail(f"dovecot did not start: {''.join(said)}")

    def stop(self) -> None:
        """Stop at once."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        process.wait(30)
        assert process.stderr is not None
        process.stderr.close()

    def _configure(self) -> None:
        group = str(self._account.pw_gid) if os.geteuid() == 0 else str(os.getgid())
        text = _SETTINGS.format(
            home=self._home, account=self._account.pw_name, group=_group_name(int(group)), port=self.port,
            password=PASSWORD,
        )  # fmt: skip
        (self._home / "dovecot.conf").write_text(text)

    def _own(self, path: Path) -> None:
        if os.geteuid() != 0:
            return
        for each in (path, *path.rglob("*")):
            os.chown(each, self._account.pw_uid, self._account.pw_gid)


@contextmanager
def running_server() -> Generator[ImapServer]:
    """Run a server; skip the test where Dovecot is not installed, unless servers are required."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        reason = "Dovecot is not installed (Debian: apt-get install dovecot-imapd)"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason}, and {REQUIRED}=1 requires it")
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="understage-imap-") as directory:
        server = ImapServer(program, Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _account() -> pwd.struct_passwd:
    """Return the account to run under: never root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _group_name(number: int) -> str:
    return grp.getgrgid(number).gr_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
