import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.import_path import ImportPathError, check_import, resolve_import
from tests.config.manifest_text import problem_of, read

SOURCE = """
import os
from os import path, system
from json import dumps
from shop_kit.tools import lent
from functools import partial
class Model: pass
shell = partial(partial(system), "ls")
class _Hidden: pass
def tool(): return 1
number = 5
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `shop_kit` with a module `tools`, and a module `shop` beside it that lends out foreign names."""
    (tmp_path / "shop_kit").mkdir()
    (tmp_path / "shop_kit" / "__init__.py").write_text("")
    (tmp_path / "shop_kit" / "tools.py").write_text("def lent(): return 2\n")
    (tmp_path / "shop.py").write_text(SOURCE)
    (tmp_path / "broken_shop.py").write_text("raise KeyError('no')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shop", "shop_kit", "broken_shop")]:
        del sys.modules[name]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("text", "allow"),
    [("shop:tool", "shop"), ("shop.tool", "shop"), ("shop:tool", "shop:tool"), ("shop_kit.tools:lent", "shop_kit")],
)
def test_an_allowed_name_is_imported(text: str, allow: str) -> None:
    assert callable(resolve_import(text, [allow]))


@pytest.mark.usefixtures("shop")
def test_a_plain_value_is_imported() -> None:
    assert resolve_import("shop:number", ["shop"]) == 5


@pytest.mark.parametrize("name", ["str", "int", "float", "bool", "list", "dict", "ConnectionError"])
def test_plain_types_and_exceptions_are_always_allowed(name: str) -> None:
    assert resolve_import(f"builtins:{name}", []).__name__ == name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        "os:system",
        "os.system",
        "builtins:eval",
        "builtins:exec",
        "builtins:__import__",
        "builtins:open",
        "builtins:getattr",
        "builtins:type",
        "builtins.eval",
        "shop:os.system",
        "shop:path.join",
        "shop:Model.__init__",
        "shop:_Hidden",
        "shop:__builtins__",
        "shop._private:x",
        "shop:",
        ":tool",
        "shop",
        ".shop:tool",
        "..shop:tool",
        "shop..x:tool",
        "shop:tool()",
        "shop:tool:x",
        "shop: tool",
        "shop/../os:system",
        "shopping:tool",
        "shop-kit:tool",
        "",
        ":",
        ".",
        "a" * 400 + ":b",
    ],
)
def test_everything_else_is_refused_without_importing(text: str) -> None:
    before = set(sys.modules)

    with pytest.raises(ImportPathError):
        resolve_import(text, ["shop"])
    assert set(sys.modules) == before


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("shop:os", "is a module"),
        ("shop:path", "is a module"),
        ("shop:system", "is defined in"),
        ("shop:dumps", "is defined in 'json'"),
        ("shop:lent", "is defined in 'shop_kit.tools'"),
        ("shop:shell", "is defined in"),
        ("shop:nothing", "has no attribute 'nothing'"),
        ("shop.gone:x", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_module_cannot_lend_out_what_it_has_imported(text: str, reason: str) -> None:
    with pytest.raises(ImportPathError, match=reason):
        resolve_import(text, ["shop"])


@pytest.mark.usefixtures("shop")
def test_a_name_that_comes_from_another_allowed_package_may_be_lent_out() -> None:
    assert callable(resolve_import("shop:lent", ["shop", "shop_kit"]))


@pytest.mark.usefixtures("shop")
def test_an_exception_of_the_module_is_the_cause() -> None:
    with pytest.raises(ImportPathError) as caught:
        resolve_import("broken_shop:x", ["broken_shop"])

    assert isinstance(caught.value.__cause__, KeyError)


def test_a_file_that_stands_in_for_the_standard_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "antigravity.py").write_text("def tool(): return 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)

    with pytest.raises(ImportPathError, match="stands in for the standard library"):
        resolve_import("antigravity:tool", ["antigravity"])
    assert "antigravity" not in sys.modules


@pytest.mark.skipif(os.name != "posix", reason="needs rights of files")
@pytest.mark.parametrize("place", [".", "mall", "mall/till.py"])
def test_a_module_that_every_user_may_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "mall").mkdir()
    (tmp_path / "mall" / "__init__.py").touch()
    (tmp_path / "mall" / "till.py").write_text("def pay(): return 1\n")
    (tmp_path / "kiosk.py").write_text("def pay(): return 1\n")
    (tmp_path / place).chmod(0o777)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with pytest.raises(ImportPathError, match="can be changed by every user"):
        resolve_import("kiosk:pay" if place == "." else "mall.till:pay", ["kiosk", "mall"])
    for name in ("mall", "kiosk"):
        sys.modules.pop(name, None)


def test_a_module_of_the_standard_library_may_be_allowed() -> None:
    assert resolve_import("json:dumps", ["json"]) is not None


@pytest.mark.parametrize("prefix", ["", "*", "pkg.*", "builtins", "_pkg", "pkg._mod", ".", "a b", "pkg:", "pkg/x"])
def test_a_prefix_that_allows_too_much_is_refused(prefix: str) -> None:
    assert problem_of(f"allow_imports: ['{prefix}']").path == "allow_imports[0]"


def test_a_manifest_names_the_prefix_that_is_missing() -> None:
    problem = problem_of("allow_imports: [shop]\nagents: {a: {tools: ['other.mod:f']}}")

    assert problem.message == "'other.mod:f' is not allowed; add 'other' or a narrower prefix to allow_imports"
    assert "a" in read("allow_imports: [shop]\nagents: {a: {tools: ['shop.deep.mod:f']}}").agents


@given(st.text(max_size=40))
def test_no_text_is_allowed_by_an_empty_list_but_plain_builtins(text: str) -> None:
    try:
        module, _ = check_import(text, [])
    except ImportPathError:
        return
    assert module == "builtins"
