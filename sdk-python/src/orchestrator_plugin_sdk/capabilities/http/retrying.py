"""How long a server asks to be left alone: `Retry-After`, in each form that it has."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping
from typing import Final

_MONTHS: Final = re.findall("...", "janfebmaraprmayjunjulaugsepoctnovdec")
_LONGEST_MS: Final = 1_000_000_000
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{0,9})?", re.ASCII)
# Source: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7: the form that is written, and two
# that are to be understood.
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = [
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"[a-z]{{3}}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_CLOCK} GMT",
        rf"[a-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_CLOCK} GMT",
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",
    )
]


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """Milliseconds that `retry-after-ms` or `retry-after` say; none if they say nothing sensible.

    Names of headers are in lower case. A date counts from the response's own `date`, if it has
    one: the two clocks need not agree.
    """
    given = headers.get("retry-after", "").strip()
    for text, unit in ((headers.get("retry-after-ms", "").strip(), 1), (given, 1000)):
        if _NUMBER.fullmatch(text):
            wait = float(text) * unit
            return int(wait) if wait < _LONGEST_MS else None
    until = http_date(given)
    if until is None:
        return None
    now = http_date(headers.get("date", "").strip())
    wait = (until - (time.time() if now is None else now)) * 1000
    return max(int(wait), 0) if wait < _LONGEST_MS else None


def http_date(text: str) -> int | None:
    """Seconds since 1970 of a date as headers have it; none if it is no date."""
    for pattern in _DATES:
        found = pattern.fullmatch(text)
        if found is None or found["month"].lower() not in _MONTHS:
            continue
        year = int(found["year"])
        if len(found["year"]) == 2:
            year += 2000 if year < 70 else 1900
        month = _MONTHS.index(found["month"].lower()) + 1
        day, hour, minute, second = (int(found[k]) for k in ("day", "hour", "minute", "second"))
        if year < 1970 or not 1 <= day <= calendar.monthrange(year, month)[1]:
            return None
        if hour > 23 or minute > 59 or second > 60:
            return None
        return calendar.timegm((year, month, day, hour, minute, second))
    return None
