"""Text that tries to look like something else, and what must not be left of it where people read.

What hides is told here by Unicode's own data, and not by the tables of `visible`.
"""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

IGNORABLE = frozenset(
    code
    for first, last in (
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
        (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
        (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""Default_Ignorable_Code_Point, of Unicode's DerivedCoreProperties."""

EMOJI_SELECTORS = "\ufe0e\ufe0f"


def is_hidden(character: str) -> bool:
    """Whether a character shows nothing by itself, drives a terminal or moves what is shown."""
    return character not in EMOJI_SELECTORS and (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        or ord(character) in IGNORABLE
    )


def hidden_in(text: str, but: str = "") -> set[str]:
    """The characters of a text that are hidden, but these."""
    return {one for one in text if is_hidden(one) and one not in but}


_TELLING = (
    "\0\a\b\t\n\v\f\r\x1b\x1f\x7f\x80\x85\x9b\x9f\xad\u061c\u200b\u200d\u200e\u200f\u2028\u2029"
    "\u202a\u202e\u2060\u2066\u2069\ufeff\ufe00\ufe0f\U000e0001\U000e0041\U000e0100\u3164"
    "[]/\\:\"'ab{}%"
)
_PIECES = st.one_of(
    st.text(st.sampled_from(_TELLING), max_size=8),
    st.sampled_from(["\x1b[2J", "[bold]", "[/]", "[link=x]", ":bomb:", "\r\nERROR", "%s", "\\u1"]),
    st.text(max_size=8),
    st.characters(categories=["Cc", "Cf", "Zl", "Zp"]),
)

HOSTILE_TEXTS = st.lists(_PIECES, max_size=8).map("".join)
"""Any text, mostly of what terminals, log files and markup give a meaning to."""

WITH_HALVES = st.lists(_PIECES | st.characters(categories=["Cs"]), max_size=8).map("".join)
"""The same, with halves of surrogate pairs, as native plugins may have them."""
