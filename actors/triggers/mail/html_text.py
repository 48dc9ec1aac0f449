"""The readable text of an HTML e-mail, in time that grows with its length only.

The parser of the standard library takes quadratic time for tags that never end, and fails on some markup.
"""

import re
from html import unescape
from typing import Final

LONGEST: Final = 1_000_000
"""Signs of a page that are read; the rest is left out."""
MARKUP: Final = re.compile(
    r"""<!--(?P<comment>)
    |<[!?/](?![a-zA-Z])[^>]*+>
    |<![^>]*+>
    |<(?P<end>/?)(?P<tag>[a-zA-Z][^\s/>]*+)(?:=\s*+(?:"[^"]*+"|'[^']*+')|[^>])*+(?:>|\Z)""",
    re.VERBOSE,
)
"""Each match takes all that it has looked at, so no sign is looked at twice."""
_HIDDEN: Final = frozenset({"script", "style", "template", "title"})
_LINES: Final = (
    "address article aside body caption center dd dl dt details dialog dir div fieldset figcaption figure footer form "
    "head header legend li main menu nav option section summary tbody tfoot thead tr"
)
_SEPARATORS: Final = {
    **dict.fromkeys(("td", "th"), " "),
    **dict.fromkeys(_LINES.split(), "\r"),  # the edges of neighbours make one line break
    **dict.fromkeys(["blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul"], "\n\n"),
    "br": "\n",
}
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});?")
_SPACE: Final = re.compile(r"\s+")
_SPACES: Final = re.compile(r"[^\S\n\r]+")
_EDGES: Final = re.compile(r" ?\r[ \r]*")
_LINE_ENDS: Final = re.compile(r" ?\n ?")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def html_text(html: str) -> str:
    r"""Return the text of a page, without markup, scripts and styles.

    Cells of a table are separated by a space, blocks by a line break or an empty line. What never ends hides nothing.

    Example:
        >>> html_text("<p>Dear <b>all</b>,</p><script>x()</script><table><tr><td>1</td><td>2</td></tr></table>")
        'Dear all,\n\n1 2'
    """
    text = "".join(_parts(html[:LONGEST].replace("\r\n", "\n").replace("\r", "\n")))
    text = _EDGES.sub("\n", _SPACES.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", _LINE_ENDS.sub("\n", text)).strip()


def _parts(html: str) -> list[str]:
    parts: list[str] = []
    last = html.rfind(">") + 1  # behind it there is no markup
    at, preformatted, endless = 0, 0, set[str]()
    while (found := MARKUP.search(html, at, last)) is not None:
        parts.append(_data(html[at : found.start()], is_plain=not preformatted))
        at = found.end()
        tag = "!--" if found["comment"] is not None else (found["tag"] or "").lower()
        if tag == "pre":
            preformatted = max(0, preformatted + (-1 if found["end"] else 1))
        if (tag == "!--" or (tag in _HIDDEN and not found["end"])) and tag not in endless:
            at = _end_of(tag, html, at, endless)
        parts.append(_SEPARATORS.get(tag, ""))
    parts.append(_data(html[at:], is_plain=not preformatted))
    return parts


def _end_of(tag: str, html: str, at: int, endless: set[str]) -> int:
    """Return where hidden content ends. Looks only once for an end that is not there."""
    # A comment may be as short as <!-->.
    pattern, start = (r"--!?>", at - 2) if tag == "!--" else (rf"</{tag}(?=[\s/>])", at)
    end = re.compile(pattern, re.IGNORECASE | re.ASCII).search(html, start)
    if end is not None:
        return max(at, end.end() if tag == "!--" else end.start())
    endless.add(tag)
    return at


def _data(text: str, *, is_plain: bool) -> str:
    if is_plain:
        text = _SPACE.sub(" ", text)
    return _REFERENCE.sub(lambda found: unescape(found[0]), text) if "&" in text else text
