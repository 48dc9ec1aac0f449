"""Which error leads to which exit code, and to which words."""

import pytest

from actors.cli.exit_code import CommandError, ExitCode, code_of, text_of
from protocols.errors import (
    EmptyPromptError,
    ManifestError,
    MissingKeyError,
    ModelError,
    NodeNotFoundError,
    NodeStartError,
    RunTimeoutError,
    UnknownModelError,
)
from protocols.model_errors import RateLimitedError, UpstreamConnectionError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ManifestError("x"), 2),
        (NodeNotFoundError.of("a", ["b"]), 2),
        (UnknownModelError("x"), 2),
        (MissingKeyError("x"), 2),
        (EmptyPromptError("x"), 2),
        (CommandError("x"), 2),
        (CommandError("x", ExitCode.FAILED), 1),
        (NodeStartError("x"), 1),
        (RunTimeoutError("x"), 1),
        (RateLimitedError("x"), 1),
        (UpstreamConnectionError("x"), 1),
        (ValueError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_has_an_exit_code(error: BaseException, code: int) -> None:
    assert code_of(error) == code


def test_an_error_of_ours_speaks_for_itself() -> None:
    assert text_of(NodeNotFoundError.of("a", ["ab"])) == "no node 'a' in the pool; did you mean 'ab'?"


def test_a_foreign_error_is_told_with_its_kind_and_its_place() -> None:
    error = ValueError("no luck")
    error.add_note("node 'a': the run failed")

    assert text_of(error) == "ValueError: no luck (node 'a': the run failed)"


def test_an_error_without_words_is_told_by_its_kind() -> None:
    assert text_of(KeyError()) == "KeyError: KeyError"


@pytest.mark.parametrize("error", [ValueError, ModelError])
@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x85", "\u2028"])
def test_no_line_of_an_error_looks_like_one_of_ours(error: type[Exception], end: str) -> None:
    lines = text_of(error(f"boom{end}understage: all is well")).splitlines()

    assert lines[1:] == ["  understage: all is well"]
