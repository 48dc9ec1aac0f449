from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unicodedata import normalize

import pytest

from actors.config.trigger import FileTrigger
from actors.triggers.files import folder as folder_module
from actors.triggers.files.folder import Folder
from actors.triggers.files.pattern import FileSelection
from protocols.triggers import TriggerError

if TYPE_CHECKING:
    from pathlib import Path


def ignore(path: str, why: str) -> None:
    """Take a warning."""


def test_a_folder_is_watched_however_its_accents_are_stored(tmp_path: Path) -> None:
    stored = normalize("NFD", "Erträge")
    (tmp_path / stored / "deep").mkdir(parents=True)

    assert Opened(tmp_path).survey(f"{normalize('NFC', stored)}/**/*.md") == {"", stored, f"{stored}/deep"}


class Opened:
    def __init__(self, root: Path) -> None:
        self.warnings: list[tuple[str, str]] = []
        self.folder = Folder(root, lambda path, why: self.warnings.append((path, why)))
        self.folder.open()

    def survey(self, *patterns: str) -> set[str]:
        config = FileTrigger(type="file", name="f", paths=patterns)
        return set(self.folder.survey([FileSelection(config)]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "docs" / "sub").mkdir(parents=True)
    (made / "docs" / "a.md").write_text("a")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.md").write_text("s")
    return made


def test_plain_files_and_folders_are_what_they_are(root: Path) -> None:
    opened = Opened(root)

    assert [opened.folder.entry(path) for path in ("docs/a.md", "docs", "docs/none")] == ["file", "folder", "missing"]


def test_a_link_counts_as_what_it_leads_to_within_the_root(root: Path) -> None:
    (root / "link.md").symlink_to("docs/a.md")
    (root / "link").symlink_to("docs")
    opened = Opened(root)

    assert (opened.folder.entry("link.md"), opened.folder.entry("link")) == ("file", "folder")
    assert opened.folder.entry("link/a.md") == "file"


def test_links_that_lead_out_are_refused_with_one_warning(root: Path) -> None:
    (root / "out.md").symlink_to(root.parent / "outside" / "secret.md")
    (root / "etc").symlink_to("/etc")
    opened = Opened(root)

    found = [opened.folder.entry(path) for path in ("out.md", "out.md", "etc", "etc/passwd")]

    assert found == ["refused"] * 4
    assert [path for path, _ in opened.warnings] == ["out.md", "etc", "etc/passwd"]
    assert "leads out of the root" in opened.warnings[0][1]


def test_a_loop_of_links_is_no_file(root: Path) -> None:
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    opened = Opened(root)

    assert opened.folder.entry("x") in ("refused", "missing")


def test_pipes_and_devices_are_refused_without_being_opened(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    (root / "null").symlink_to("/dev/null")
    opened = Opened(root)

    assert (opened.folder.entry("pipe.md"), opened.folder.entry("null")) == ("refused", "refused")
    assert opened.warnings[0] == ("pipe.md", "it is no regular file")


def test_a_link_to_a_pipe_within_the_root_is_refused(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "link.md").symlink_to("pipe")
    opened = Opened(root)

    assert opened.folder.entry("link.md") == "refused"


def test_names_are_escaped_in_warnings(root: Path) -> None:
    os.mkfifo(root / "a\nb\x1b[2J")
    opened = Opened(root)

    opened.folder.entry("a\nb\x1b[2J")

    assert opened.warnings[0][0] == "a\\nb\\x1b[2J"


def test_only_the_folders_of_the_patterns_are_watched_and_links_are_not_followed(root: Path) -> None:
    (root / "docs" / "out").symlink_to(root.parent)
    (root / "docs" / "node_modules" / "deep").mkdir(parents=True)
    opened = Opened(root)

    assert opened.survey("docs/**/*.md") == {"", "docs", "docs/sub"}
    assert opened.survey("*.md") == {""}
    assert opened.survey("docs/a.md") == {"", "docs"}
    assert opened.survey("docs/node_modules/**") == {"", "docs", "docs/node_modules", "docs/node_modules/deep"}


def test_where_a_folder_is_missing_the_nearest_one_above_is_watched(root: Path) -> None:
    opened = Opened(root)

    assert opened.survey("docs/later/on/**/*.md") == {"", "docs"}
    assert opened.survey("never/here") == {""}


def test_a_prefix_that_is_a_link_out_of_the_root_is_not_watched(root: Path) -> None:
    (root / "out").symlink_to(root.parent / "outside")
    opened = Opened(root)

    assert opened.survey("out/**/*.md") == {""}


def test_too_many_folders_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MOST_FOLDERS", 1)

    with pytest.raises(TriggerError, match="more than 1 folders"):
        Opened(root).survey("docs/**")


def test_another_folder_at_the_same_path_has_another_identity(root: Path) -> None:
    opened = Opened(root)
    config = FileTrigger(type="file", name="f", paths=("docs/sub/*",))
    before = opened.folder.survey([FileSelection(config)])
    (root / "docs" / "sub").rename(root / "docs" / "moved")
    (root / "docs" / "sub").mkdir()

    assert opened.folder.survey([FileSelection(config)]) != before


@pytest.mark.parametrize("name", ["none", "docs/a.md"])
def test_a_root_that_is_missing_or_a_file_says_so(root: Path, name: str) -> None:
    with pytest.raises(TriggerError, match=f"the root .*{name}"):
        Folder(root / name, ignore).open()


def test_files_of_a_folder_are_listed_without_its_folders(root: Path) -> None:
    opened = Opened(root)

    assert [path for path, _ in opened.folder.files("docs")] == ["docs/a.md"]
    assert list(opened.folder.files("")) == []
    assert list(opened.folder.files("gone")) == []


def test_a_mark_tells_another_content_but_not_another_mode(root: Path) -> None:
    opened, file = Opened(root), root / "docs" / "a.md"
    os.utime(file, (0, 0))
    first = opened.folder.look("docs/a.md")
    file.chmod(0o600)

    assert opened.folder.look("docs/a.md") == first
    file.write_text("longer than before")
    assert opened.folder.look("docs/a.md") != first
    assert opened.folder.look("docs") is None
    assert opened.folder.look("docs/none.md") is None


def test_a_file_that_was_just_written_may_be_written_again_at_the_same_time(root: Path) -> None:
    opened, file = Opened(root), root / "docs" / "a.md"
    file.write_text("one")
    written = opened.folder.look("docs/a.md")
    os.utime(file, (0, 0))
    older = opened.folder.look("docs/a.md")

    assert written is not None
    assert older is not None
    assert (written.is_fresh, older.is_fresh) == (True, False)


def test_names_that_are_no_utf8_are_left_out_with_a_warning(root: Path) -> None:
    os.mkdir(os.fsencode(root) + b"/docs/\xff")
    os.mkfifo(os.fsencode(root) + b"/docs/\xfe.md")
    opened = Opened(root)

    assert (opened.survey("docs/**/*.md"), [path for path, _ in opened.folder.files("docs")]) == (
        {"", "docs", "docs/sub"},
        ["docs/a.md"],
    )
    assert opened.warnings == [("docs/\\udcff", "its name is no UTF-8"), ("docs/\\udcfe.md", "its name is no UTF-8")]
