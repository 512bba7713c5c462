"""Untrusted text as people may see it: what shows nothing, or moves what is shown, is escaped.

A plugin's words reach terminals, log files and error messages. A control character drives a
terminal; a line break or a bidirectional mark forges a line; zero-width and tag characters hide
text. Whatever writes a plugin's words where people read them passes them through here first.
Markup of `rich` is the business of the consoles: they interpret none.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

# Unicode's general categories Cc, Cf, Cs, Zl and Zp, and its property Default_Ignorable_Code_Point,
# without the two selectors that emoji are written with. `tests/sdk/test_visible.py` compares.
_HIDDEN_BUT_LINES = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# One selector after another shows nothing: of bits that are written so, the first is left.
_SELECTORS = "(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]+"

_MAX_KEY = 200
"""Characters of a key that are shown."""
_PLAIN_KEY = re.compile(f"[A-Za-z0-9_-]{{1,{_MAX_KEY}}}")


def visible(text: str, *, lines: bool = False) -> str:
    r"""Text in which nothing is hidden, in one line: `\x1b`, `\n`, `\u202e`, `\U000e0041` stand
    where such characters were. With `lines`, line feeds and tabs are left as they are.

    Not to be read back: a backslash that was there already looks the same.
    """
    return _hidden(lines).sub(_escaped, text)


def visible_json(text: str) -> str:
    r"""A text of JSON in which nothing is hidden. It means the same: the characters, which can only
    be within its strings, are written as `\u202e`."""
    return _hidden(True).sub(_escaped_in_json, text)


def visible_data(value: Any) -> Any:
    """Plain data with all of its strings and keys `visible`."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible_data(key): visible_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [visible_data(item) for item in value]
    return value


def hides(text: str) -> bool:
    """Whether a name has characters that `visible` would escape."""
    return _hidden(False).search(text) is not None


def quoted(text: str, most: int = 80) -> str:
    """A text in quotes, as `repr` has it, as an error shows it: at most so many characters of it,
    and nothing hidden."""
    return visible(repr(text if len(text) <= most else f"{text[:most]}…"))


def shown_key(key: str) -> str:
    """A key, or a name, as a path in an error shows it: at most 200 characters of it, and by
    `repr` unless it consists of ASCII letters, digits, underscores and dashes."""
    return key if _PLAIN_KEY.fullmatch(key) else quoted(key, _MAX_KEY)


@cache
def _hidden(lines: bool) -> re.Pattern[str]:
    """What is escaped. Made when it is needed: a guest's memory has all of this, and hardly uses
    it."""
    more = "" if lines else "\t\n"
    return re.compile(f"[{more}{_HIDDEN_BUT_LINES}]+|{_SELECTORS}")


def _escaped(found: re.Match[str]) -> str:
    return codecs.unicode_escape_encode(found[0])[0].decode("ascii")


def _escaped_in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))
