"""Patterns of origins: what they are, and what they match."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from orchestrator_plugin_sdk.origins import (
    DEFAULT_PORTS,
    Origin,
    OriginPattern,
    Scheme,
    check_name,
    is_address,
)

SCHEMES: st.SearchStrategy[Scheme] = st.sampled_from(("http", "https"))
PORTS = st.integers(1, 65_535)
LABELS = st.from_regex(r"[a-z_]([a-z0-9_-]{0,8}[a-z0-9_])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ADDRESSES = st.ip_addresses().map(str)
ORIGINS = st.builds(Origin, SCHEMES, NAMES | ADDRESSES, PORTS)

MATCHES = [
    ("https://api.example.com", "https", "api.example.com", 443, True),
    ("https://api.example.com/", "https", "api.example.com", 443, True),
    ("https://api.example.com", "https", "api.example.com", 8443, False),
    ("https://api.example.com", "http", "api.example.com", 443, False),
    ("https://api.example.com", "https", "example.com", 443, False),
    ("https://api.example.com", "https", "a.api.example.com", 443, False),
    ("https://api.example.com", "https", "api.example.com.evil.example", 443, False),
    ("https://api.example.com:8443", "https", "api.example.com", 8443, True),
    ("https://api.example.com:443", "https", "api.example.com", 443, True),
    ("https://api.example.com:*", "https", "api.example.com", 1, True),
    ("http://api.example.com", "http", "api.example.com", 80, True),
    ("https://*.example.com", "https", "a.example.com", 443, True),
    ("https://*.example.com", "https", "a.b.example.com", 443, True),
    ("https://*.example.com", "https", "example.com", 443, False),
    ("https://*.example.com", "https", "notexample.com", 443, False),
    ("https://*", "https", "anything", 443, True),
    ("https://*", "https", "1.2.3.4", 443, True),
    ("https://*", "https", "anything", 8443, False),
    ("https://*:*", "https", "::1", 8443, True),
    ("http://127.0.0.1:8080", "http", "127.0.0.1", 8080, True),
    ("http://[::1]:8080", "http", "::1", 8080, True),
    ("http://[0:0::1]:8080", "http", "::1", 8080, True),
    ("http://[::1]", "http", "::2", 80, False),
]


@pytest.mark.parametrize(("pattern", "scheme", "host", "port", "matches"), MATCHES)
def test_what_a_pattern_matches(
    pattern: str, scheme: Scheme, host: str, port: int, matches: bool
) -> None:
    assert OriginPattern.parse(pattern).matches(Origin(scheme, host, port)) is matches


NO_PATTERNS = [
    "",
    "api.example.com",
    "ftp://api.example.com",
    "HTTPS://api.example.com",
    "https://",
    "https:///",
    "https://api.example.com/v1",
    "https://api.example.com//",
    "https://api.example.com?q",
    "https://api.example.com#a",
    "https://user@api.example.com",
    "https://api.example.com:0",
    "https://api.example.com:65536",
    "https://api.example.com:٤٤٣",
    "https://api.example.com:",
    "https://api.*.com",
    "https://**",
    "https://*example.com",
    "https://*.*.com",
    "https://API.example.com",
    "https://exämple.com",
    "https://a..b",
    "https://.a",
    "https://a.",
    "https://-a.com",
    "https://a b",
    "https://a\n",
    "https://*.4",
    "https://127.1",
    "https://0x7f.1",
    "https://2130706433",
    "https://[::1",
    "https://[zz]",
    "https://[1.2.3.4]",
    "https://::1",
    "https://" + "a." * 130 + "com",
    "https://" + "a" * 64,
]


@pytest.mark.parametrize("text", NO_PATTERNS)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        OriginPattern.parse(text)
    assert len(str(caught.value)) < 400


@given(ORIGINS)
def test_an_origin_is_a_pattern_of_itself(origin: Origin) -> None:
    pattern = OriginPattern.parse(str(origin))
    assert pattern.matches(origin)
    assert (pattern.scheme, pattern.host, pattern.port) == (origin.scheme, origin.host, origin.port)


@given(ORIGINS, ORIGINS)
def test_it_matches_no_other(one: Origin, other: Origin) -> None:
    assert OriginPattern.parse(str(one)).matches(other) is (one == other)


@given(SCHEMES, NAMES | ADDRESSES | st.just("*") | NAMES.map("*.{}".format), PORTS | st.none())
def test_a_pattern_is_read_as_it_is_written(scheme: Scheme, host: str, port: int | None) -> None:
    pattern = OriginPattern(scheme, host, port)
    assert OriginPattern.parse(str(pattern)) == pattern


@given(SCHEMES, ORIGINS)
def test_any_host_is_any_host(scheme: Scheme, origin: Origin) -> None:
    assert OriginPattern.parse(f"{scheme}://*:*").matches(origin) is (scheme == origin.scheme)
    expected = scheme == origin.scheme and origin.port == DEFAULT_PORTS[scheme]
    assert OriginPattern.parse(f"{scheme}://*").matches(origin) is expected


@given(NAMES, st.lists(LABELS, max_size=3), SCHEMES)
def test_below_a_name_is_what_ends_in_it_after_a_dot(
    name: str, before: list[str], scheme: Scheme
) -> None:
    host = ".".join([*before, name])
    matches = OriginPattern.parse(f"{scheme}://*.{name}").matches
    assert matches(Origin(scheme, host, DEFAULT_PORTS[scheme])) is bool(before)
    assert not matches(Origin(scheme, "x" + name, DEFAULT_PORTS[scheme]))


@given(st.ip_addresses(v=4))
def test_an_address_has_no_labels(address: ipaddress.IPv4Address) -> None:
    below = OriginPattern("https", "*." + str(address).partition(".")[2], None)
    assert not below.matches(Origin("https", str(address), 443))
    assert is_address(str(address))


@given(st.text(max_size=30))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"https://{text}", f"http://a:{text}"):
        try:
            pattern = OriginPattern.parse(candidate)
        except ValueError:
            continue
        assert OriginPattern.parse(str(pattern)) == pattern


@given(st.from_regex(r"[0-9a-fx.]{1,20}", fullmatch=True))
def test_a_name_is_nothing_that_resolvers_read_as_an_address(text: str) -> None:
    try:
        check_name(text)
    except ValueError:
        return
    last = text.rpartition(".")[2]
    assume(last)
    assert not last.isdigit()
    assert not is_address(text)
