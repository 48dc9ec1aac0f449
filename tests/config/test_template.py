import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.template import TemplateError, check_template, render_path_template, render_template

NAMES = frozenset({"content", "name"})


def test_places_are_filled_once() -> None:
    assert render_template("{name}: {content} {{name}}", {"name": "{content}", "content": "x"}) == "{content}: x {name}"


def test_a_path_cannot_be_led_elsewhere_by_a_value() -> None:
    assert render_path_template("logs/{name}.txt", {"name": "../../etc/passwd"}) == "logs/__.._etc_passwd.txt"
    assert "/" not in render_path_template("{name}", {"name": "..\\/\0\n"})


@pytest.mark.parametrize(
    "text",
    ["{other}", "{name.x}", "{name[0]}", "{name!r}", "{0}", "{}", "{", "}", "{{name}", "{{ name }}", "{% if x %}"],
)
def test_anything_but_a_known_place_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        check_template(text, NAMES)


@given(st.text(alphabet="{}name content%", max_size=40))
def test_a_checked_template_renders(text: str) -> None:
    try:
        check_template(text, NAMES)
    except TemplateError:
        return
    assert "canary" not in render_template(text.replace("{name}", ""), {"name": "canary", "content": ""})


def test_braces_may_be_written_twice() -> None:
    check_template('{{"key": 1}}', NAMES)

    assert render_template('{{"key": 1}}', {}) == '{"key": 1}'
