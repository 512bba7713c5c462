"""The standard library that programs find: all that makes sense where there are no processes,
sockets and threads. A component has what was imported when it was built, so it is imported here.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from contextlib import suppress
from typing import Any

MODULES = """
    __future__ abc argparse array ast asyncio base64 binascii bisect calendar cmath code codecs
    collections collections.abc colorsys concurrent.futures configparser contextlib contextvars
    copy copyreg csv dataclasses datetime decimal difflib dis doctest email.message email.parser
    email.utils enum errno fileinput filecmp fnmatch fractions functools gc getopt glob graphlib
    gzip hashlib heapq hmac html html.entities html.parser inspect io ipaddress itertools json
    json.tool keyword linecache locale logging math mimetypes numbers opcode operator os os.path
    pathlib pickle pickletools pkgutil platform pprint queue quopri random re reprlib sched secrets
    shelve shlex shutil signal sqlite3 stat statistics string string.templatelib stringprep struct
    sys tarfile tempfile textwrap threading time timeit token tokenize tomllib traceback types
    typing unicodedata unittest unittest.mock urllib.parse uuid warnings weakref
    xml.dom.minidom xml.etree.ElementTree xml.sax.saxutils zipfile zlib zoneinfo
    _strptime _pydecimal _colorize _pyrepl.utils
"""
"""Imported where they are there. Those with an underscore are what others import late."""

ENCODINGS = """
    ascii base64_codec charmap cp037 cp437 cp1250 cp1251 cp1252 hex_codec idna iso8859_1 iso8859_2
    iso8859_15 koi8_r latin_1 mac_roman punycode quopri_codec raw_unicode_escape rot_13
    unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8 utf_8_sig
    zlib_codec
"""
"""Encodings of text, which are imported when they are first used otherwise."""

if sys.platform == "wasi":
    # It needs the C implementation of datetime, which a component has not.
    sys.modules["_zoneinfo"] = None  # type: ignore[assignment]  # none: it is not there

for _name in (*MODULES.split(), *(f"encodings.{one}" for one in ENCODINGS.split())):
    # Some need what a component has not: a program that imports them is told so.
    with suppress(ImportError):
        importlib.import_module(_name)


class _Nothing:
    """What an event loop waits with where nothing but time passes."""

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("every task waits for another: nothing can happen any more")
        time.sleep(max(timeout, 0))
        return []


class EventLoop(asyncio.BaseEventLoop):
    """An event loop with tasks and timers, and without sockets, processes and threads."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Nothing()

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else could wake it."""


def prepare() -> None:
    """What programs get that is different from Python's own, within a component."""
    if sys.platform == "wasi":
        asyncio.events.new_event_loop = asyncio.new_event_loop = EventLoop
