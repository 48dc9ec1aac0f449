"""Names of tools that every provider of models accepts."""

import re
import unicodedata
import zlib
from collections.abc import Container
from itertools import count
from typing import Final

_LONGEST: Final = 64


def tool_name(text: str) -> str:
    """Return a name of a tool that every provider accepts: at most 64 ASCII letters, digits, ``_`` and ``-``.

    A text has the same name every time. A number made of the text follows a name that lost letters.
    """
    if len(text) <= _LONGEST and re.fullmatch(r"[\w-]+", text, re.ASCII):
        return text
    plain = unicodedata.normalize("NFKD", text.replace("\u00df", "ss"))
    kept = "".join(sign for sign in plain if not unicodedata.combining(sign))
    name = re.sub(r"[^\w-]", "_", kept, flags=re.ASCII)
    if kept.isascii() and 0 < len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}_{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name of a tool, with the first number that makes it differ from those that are taken."""
    if name not in taken:
        return name
    numbered = (f"{name[: _LONGEST - 5]}_{number}" for number in count(2))
    return next(one for one in numbered if one not in taken)
