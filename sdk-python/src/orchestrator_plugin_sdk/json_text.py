"""JSON that somebody else wrote, read within bounds.

`json.loads` recurses in C: a text nested some thousand deep ends a sandboxed instance, where there
is no stack to spare. A document of the contract couldn't hold it, either.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from .codec import MAX_CONTAINERS, MAX_DEPTH

_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_HALVES = re.compile("[\ud800-\udfff]")
_LARGEST: Final = 2**64


def read_json(text: str | bytes, depth: int = MAX_DEPTH) -> Any:
    """JSON as plain data that has a place in a document.

    Raises `ValueError` for what is no JSON in UTF-8, nests more than `depth` deep, has more lists
    and maps than a document may, NaN, an infinity, or an integer of more than 64 bits. Half of a
    surrogate pair, which is no text, becomes U+FFFD.
    """
    if isinstance(text, bytes):
        # Not "utf-8-sig": in a component there is no codec that was not used when it was built.
        text = text.decode().removeprefix("\ufeff")
    _check_containers(text, depth)
    document = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_number)
    return _whole(document) if "\\ud" in text or "\\uD" in text else document


def _check_containers(text: str, depth: int) -> None:
    opened = text.count("[") + text.count("{")
    if opened <= min(depth, MAX_CONTAINERS):
        return
    level = made = 0
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark in "[{":
            level, made = level + 1, made + 1
            if level > depth:
                raise ValueError(f"the JSON nests more than {depth} deep")
            if made > MAX_CONTAINERS:
                raise ValueError(f"the JSON has more than {MAX_CONTAINERS:,} lists and maps")
        elif mark in "]}":
            level -= 1


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST // 2 <= (number := int(digits)) < _LARGEST:
        raise ValueError("the JSON has an integer of more than 64 bits")
    return number


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("the JSON has a number that is too large")
    return number


def _whole(document: Any) -> Any:
    if isinstance(document, str):
        return _HALVES.sub("\ufffd", document)
    if isinstance(document, list):
        return [_whole(item) for item in document]
    if isinstance(document, dict):
        return {_HALVES.sub("\ufffd", key): _whole(item) for key, item in document.items()}
    return document
