from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.trigger import FileTrigger
from actors.triggers.files.pattern import FilePattern, FileSelection
from protocols.triggers import TriggerConfigError

NAMES = st.sampled_from(["a", "b", "ab", "a.md", "docs"])
PATHS = st.lists(NAMES, min_size=1, max_size=5)
PATTERNS = st.lists(st.sampled_from(["**", "*", "a", "a*", "?", "[ab]", "*.md", "docs"]), min_size=1, max_size=5)


def naive(pattern: list[str], parts: list[str]) -> bool:
    """The meaning of a pattern, written as slowly and plainly as possible."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return naive(pattern[1:], parts) or (bool(parts) and naive(pattern, parts[1:]))
    return bool(parts) and FilePattern(f"x/{pattern[0]}/*").matches(f"x/{parts[0]}/y") and naive(pattern[1:], parts[1:])


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("docs/**/*.md", "docs/a.md", True),
        ("docs/**/*.md", "docs/a/b/c.md", True),
        ("docs/**/*.md", "docs/a.txt", False),
        ("docs/**/*.md", "other/a.md", False),
        ("docs/**/*.md", "a/docs/a.md", False),
        ("*.md", "a.md", True),
        ("*.md", "sub/a.md", False),
        ("**", "a/b/c", True),
        ("docs/**", "docs/a/b", True),
        ("docs", "docs/a/b.txt", True),
        ("docs", "docs", True),
        ("docs", "docs2/a", False),
        ("notes/todo.md", "notes/todo.md", True),
        ("notes/todo.md", "notes/todo.mdx", False),
        ("a/*/c.md", "a/b/c.md", True),
        ("a/*/c.md", "a/b/d/c.md", False),
        ("[ab]?.txt", "a1.txt", True),
        ("[ab]?.txt", "c1.txt", False),
        ("*.MD", "a.md", False),
        ("./docs/*.md", "docs/a.md", True),
        ("**/*", "src/node_modules/x/a.js", False),
        ("src/node_modules/**", "src/node_modules/x/a.js", True),
        ("**/*", ".git/index", False),
        ("**/*", "a\nb.md", True),
    ],
)
def test_patterns_match_as_documented(pattern: str, path: str, matches: bool) -> None:
    assert FilePattern(pattern).matches(path) is matches


def test_a_folder_that_is_not_recursive_takes_only_what_lies_in_it() -> None:
    pattern = FilePattern("docs", recursive=False)

    assert pattern.matches("docs/a.md")
    assert not pattern.matches("docs/sub/a.md")


@pytest.mark.parametrize(
    ("pattern", "prefix", "is_deep"),
    [
        ("docs/**/*.md", "docs", True),
        ("*.md", "", False),
        ("a/b/*.md", "a/b", False),
        ("a/*/b.md", "a", True),
        ("**", "", True),
        ("a/b", "a/b", True),
    ],
)
def test_only_the_folders_that_a_pattern_needs_are_watched(pattern: str, prefix: str, is_deep: bool) -> None:
    found = FilePattern(pattern)

    assert (found.prefix, found.is_deep) == (prefix, is_deep)


@pytest.mark.parametrize("pattern", ["../x", "a/../../x", "/etc/*", "~/x", "\\x", "", " ", "a\0b"])
def test_a_pattern_that_could_leave_the_root_is_refused(pattern: str) -> None:
    with pytest.raises(TriggerConfigError, match="below its root"):
        FilePattern(pattern)


@given(PATTERNS, PATHS)
def test_matching_means_what_the_plain_definition_means(pattern: list[str], path: list[str]) -> None:
    text = "/".join(pattern)
    found = FilePattern(text)

    if not found.is_plain:
        assert found.matches("/".join(path)) is naive(pattern, path)


def test_names_match_that_look_the_same() -> None:
    composed, decomposed = (normalize(form, "Erträge") for form in ("NFC", "NFD"))

    assert FilePattern(f"{composed}*/a.md").matches(f"{decomposed}_1/a.md")
    assert FilePattern(f"{decomposed}/*.md").matches(f"{composed}/a.md")
    assert FilePattern("in/report [1].md").matches("in/report [1].md")


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not FilePattern("/".join(["**", "*a*a*a*a*a*b"] * 20)).matches("/".join(["a" * 200] * 40))


def selection(**keys: object) -> FileSelection:
    return FileSelection(FileTrigger.model_validate({"type": "file", "name": "f", "paths": ["**/*"], **keys}))


def test_extensions_narrow_the_patterns_whatever_their_case() -> None:
    found = selection(extensions=["md", ".TXT"])

    assert [found.matches(path) for path in ("a.md", "a.MD", "b/c.txt", "a.py", "md")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_what_is_ignored_needs_no_extensions() -> None:
    found = selection(ignore_paths=["drafts", "**/*.tmp"])

    assert [found.matches(path) for path in ("a.md", "drafts/a.md", "x/y.tmp")] == [True, False, False]


@pytest.mark.parametrize("path", ["a.md~", ".a.md.swp", "sub/.#a.md", "#a#", "4913"])
def test_what_editors_make_for_themselves_is_no_news(path: str) -> None:
    assert not selection().matches(path)
