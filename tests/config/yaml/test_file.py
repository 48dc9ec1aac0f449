import os
from pathlib import Path

import pytest

from actors.config.load import load_manifest
from actors.config.yaml.file import read_text
from actors.config.yaml.problem import InvalidManifestError, Problem
from actors.config.yaml.tree import SourceLimits


def refused(path: Path, limits: SourceLimits | None = None) -> Problem:
    with pytest.raises(InvalidManifestError) as caught:
        read_text(path, limits=limits or SourceLimits())
    (problem,) = caught.value.problems
    return problem


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_bytes(b"\xef\xbb\xbfagents: {}")

    assert read_text(tmp_path / "m.yml") == "agents: {}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert str(refused(tmp_path / "m.yml")) == f"{tmp_path / 'm.yml'}: the file does not exist"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).message in (
        "the file is a directory; name the manifest file in it",
        "the file is not a regular file",
    )


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert refused(tmp_path / "pipe").message == "the file is not a regular file"


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)

    assert refused(tmp_path / "m.yml").message == "the file cannot be read: Permission denied"


@pytest.mark.parametrize("data", [b"\0\1", b"\xff\xfe\0a", b"caf\xe9", b"\x80"])
def test_a_binary_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_bytes(data)

    assert "text: byte" in refused(tmp_path / "m.yml").message


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_bytes(b"a" * 11)

    assert "more than 10 bytes" in refused(tmp_path / "m.yml", SourceLimits(bytes=10)).message


def test_a_file_name_with_a_zero_is_refused() -> None:
    with pytest.raises(InvalidManifestError):
        load_manifest("a\0b.yml")


def test_the_limit_of_a_manifest_can_be_raised(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text("agents: {a: {description: '" + "x" * 10_100_000 + "'}}")

    with pytest.raises(InvalidManifestError, match="10000000 bytes"):
        load_manifest(path)
    assert list(load_manifest(path, limits=SourceLimits(bytes=11_000_000)).agents) == ["a"]
