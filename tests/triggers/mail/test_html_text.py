"""What a person would read, from HTML that nobody has checked."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.triggers.mail import html_text as module
from actors.triggers.mail.html_text import LONGEST, html_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p>\n\n<p>b</p>", "a\n\nb"),
        ("one\nsentence, <b>two</b>\r\nlines", "one sentence, two lines"),
        ("<div>a</div> <div>b</div>", "a\nb"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<tr><td>Price</td><td>12&#8364;</td></tr><tr><th>Sum<th>12", "Price 12€\nSum 12"),
        ("<ul><li>a<li>b</ul>c", "a\nb\n\nc"),
        ("<pre>a\r\nb</pre>", "a\nb"),
        ("<head><title>t</title><style>p{}</style><p>no end of the head", "no end of the head"),
        ("<script>if (a<b) '</p>'</scriptx></script >yes", "yes"),
        ("<!--[if mso]>no<![endif]-->yes <![if !mso]>too<![endif]>", "yes too"),
        ("<!-->a<!-- > -->b", "ab"),
        ("<style>p{} never ends", "p{} never ends"),
        ("<!-- never ends", "<!-- never ends"),
        ("1 < 2 and a <b", "1 < 2 and a <b"),
        ("<a title='a>b' href=x>c</a>", "c"),
        ("&lt;b&gt; &amp;amp; &nbsp;x &zz; &#x41;", "<b> &amp; x &zz; A"),
        ("<o:p>x</o:p><![CDATA[y]]>", "x"),
    ],
)
def test_text_is_what_a_person_would_read(html: str, text: str) -> None:
    assert html_text(html) == text


PIECES = [
    "<",
    "<!--",
    "<a ",
    "</",
    "<!",
    "&",
    "&#9",
    "<script>",
    "</script",
    "='",
    '="',
    ">",
    "<a x='>'",
    "\n",
    " ",
    "-",
]


@given(st.lists(st.sampled_from([*PIECES, "x", "<td>", "<p>"])).map("".join))
def test_any_markup_is_read(html: str) -> None:
    assert len(html_text(html)) <= 2 * len(html)


class _CountedPattern:
    """A pattern that counts how many signs its matches take."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.signs = 0

    def search(self, *args: Any) -> re.Match[str] | None:
        found = self._pattern.search(*args)
        self.signs += 0 if found is None else len(found[0])
        return found


@pytest.mark.parametrize("piece", PIECES)
def test_no_sign_is_looked_at_twice(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = _CountedPattern(module.MARKUP)
    monkeypatch.setattr(module, "MARKUP", pattern)
    html = piece * 2_000 + ">"

    html_text(html)

    assert pattern.signs <= len(html)


def test_the_longest_page_is_cut_off() -> None:
    assert len(html_text("x" * (LONGEST + 1))) == LONGEST
    assert sys.getsizeof(html_text("<p>" * LONGEST)) < 100
