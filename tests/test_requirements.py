"""The locked files hold on any day: every package is pinned and hashed, and so is all that it needs in turn."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
FILES = ("run", "dev", "bench")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSIONS = (("3.11", "3.11.7"), ("3.12", "3.12.1"), ("3.13", "3.13.0"))
SYSTEMS = (("linux", "posix", "Linux"), ("darwin", "posix", "Darwin"), ("win32", "nt", "Windows"))

Place = dict[str, str]
HERE: Place = {key: str(value) for key, value in default_environment().items()}
PLACES = [
    HERE
    | {"python_version": short, "python_full_version": full, "implementation_version": full}
    | {"sys_platform": name, "os_name": os, "platform_system": system}
    for (short, full), (name, os, system) in product(VERSIONS, SYSTEMS)
]


class Pin(NamedTuple):
    """One package of a locked file."""

    requirement: Requirement
    hashes: int

    @property
    def version(self) -> str:
        return str(self.requirement.specifier).removeprefix("==")


@cache
def locked(name: str) -> list[Pin]:
    """Return the packages of a locked file."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8"), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [Pin(Requirement(line.partition(" --hash=")[0]), line.count(" --hash=sha256:")) for line in lines]


def pins(name: str, place: Place) -> dict[str, str]:
    """Return the versions that a locked file has for one place, by package."""
    wanted = [pin for pin in locked(name) if _applies(pin.requirement, place)]
    return {canonicalize_name(pin.requirement.name): pin.version for pin in wanted}


def roots(name: str) -> list[str]:
    """Return what the Makefile asks a locked file to be made from."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (features,) = re.findall(r"^FEATURES = (.*)$", makefile, re.M)
    (line,) = re.findall(rf"^\t\$\(COMPILE\) (.*) -o requirements/{name}\.txt", makefile, re.M)
    options = line.replace("$(FEATURES)", features)
    extras = ",".join(re.findall(r"--extra (\S+)", options))
    groups = [each for group in re.findall(r"--group (\S+)", options) for each in PROJECT["dependency-groups"][group]]
    return [f"understage[{extras}]" if extras else "understage", *groups]


@cache
def needs(package: str, version: str) -> list[Requirement]:
    """Return what a package asks for; nothing when this version of it is not installed."""
    if package == "understage":
        extras = PROJECT["project"]["optional-dependencies"].items()
        lines = PROJECT["project"]["dependencies"] + [f'{e}; extra == "{x}"' for x, each in extras for e in each]
        return [Requirement(line) for line in lines]
    try:
        lines = (metadata.requires(package) or []) if metadata.version(package) == version else []
    except metadata.PackageNotFoundError:
        return []
    return [Requirement(line) for line in lines]


def lacking(wanted: list[str], known: Mapping[str, str], place: Place) -> Iterator[str]:
    """Yield what is wanted, by packages or by what these ask for in turn, and is not pinned."""
    left = [("", "", Requirement(text)) for text in wanted]
    seen: set[tuple[str, str]] = set()
    while left:
        asker, extra, requirement = left.pop()
        if not _applies(requirement, place | {"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        version = known.get(name, "0" if name == "understage" else None)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield f"{asker or 'pyproject.toml'} needs {requirement}, not {version}"
            continue
        for key in {(name, each) for each in ("", *requirement.extras)} - seen:
            seen.add(key)
            left += [(*key, each) for each in needs(name, version)]


def _applies(requirement: Requirement, place: Place) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": "", **place})


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_pinned_and_hashed(name: str) -> None:
    loose = [
        str(pin.requirement) for pin in locked(name) if not re.fullmatch(r"==[^,*]+", str(pin.requirement.specifier))
    ]

    assert loose == []
    assert [str(pin.requirement) for pin in locked(name) if not pin.hashes] == []
    assert [pin.requirement.name for pin in locked(name) if pin.requirement.extras or pin.requirement.url] == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place['python_version']}-{place['sys_platform']}")
def test_what_a_package_needs_is_pinned_as_well(name: str, place: Place) -> None:
    assert list(lacking(roots(name), pins(name, place), place)) == []


def test_this_environment_is_the_locked_one() -> None:
    known = pins("dev", HERE)

    assert {name: metadata.version(name) for name in known} == known


@pytest.mark.parametrize(
    ("wanted", "left_out", "found"),
    [
        ("pydantic", "pydantic", "pyproject.toml needs pydantic, not None"),
        ("pydantic>=9999", "", "pyproject.toml needs pydantic>=9999, not "),
        ("pydantic", "pydantic-core", "pydantic needs pydantic-core=="),
        ("pydantic[email]", "email-validator", "pydantic needs email-validator>="),
        ("pydantic", "email-validator", ""),
        ('absent; python_version < "3"', "", ""),
    ],
)
def test_what_is_not_pinned_is_found(wanted: str, left_out: str, found: str) -> None:
    known = {name: version for name, version in pins("dev", HERE).items() if name != left_out}
    told = list(lacking([wanted], known, HERE))

    assert len(told) == bool(found)
    assert "".join(told).startswith(found)
