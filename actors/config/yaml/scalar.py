"""What a bare word in YAML means here: YAML 1.2's core schema without its octal and hexadecimal numbers.

`no`, `on`, `22:22`, `010`, `0x1F`, `1_000` and `2024-01-01` stay text; only `true`/`false`, decimal numbers and
`null`/`~`/nothing are special.
"""

import math
import re

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})")
_FRACTION = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]{0,30})?\.[0-9]{1,60}|(?:0|[1-9][0-9]{0,30})\.?)(?:[eE][-+]?[0-9]{1,4})?"
)


def read_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
