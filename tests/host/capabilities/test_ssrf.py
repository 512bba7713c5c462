"""Where no request goes: by its URL, by a redirect, or by a name that leads there.

The plugin's manifest asks for every origin and the policy grants every origin, so that what is
refused is refused for its address or its spelling alone.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import LoadedProvider, PluginHost, Policy
from orchestrator_plugin_host.capabilities.http.addresses import is_granted, is_loopback, special
from orchestrator_plugin_sdk import ErrorKind, PluginCallError, PluginExport
from support.servers import Server

from .conftest import ANYWHERE, METHODS, Fetching, Names, fetch, manifest

pytestmark = pytest.mark.anyio

EVERYWHERE = [{"url": url, "methods": METHODS} for url in ANYWHERE]

# Special addresses, in the spelling of a URL that is read; and the reason.
ADDRESSES = {
    "http://127.0.0.1/": "loopback",
    "http://127.0.0.1:22/": "loopback",
    "https://127.255.255.254/": "loopback",
    "http://0.0.0.0/": "this network",
    "http://0.1.2.3/": "this network",
    "http://10.0.0.1/": "private",
    "http://10.255.255.255/": "private",
    "http://172.16.0.1/": "private",
    "http://172.31.255.255/": "private",
    "http://192.168.0.1/": "private",
    "http://192.168.255.255:8080/": "private",
    "http://169.254.169.254/latest/meta-data/": "a cloud's metadata",
    "http://169.254.170.2/v2/credentials": "a cloud's metadata",
    "http://100.100.100.200/latest/": "a cloud's metadata",
    "http://168.63.129.16/": "a cloud's metadata",
    "http://192.0.0.192/": "a cloud's metadata",
    "http://169.254.1.1/": "link-local",
    "http://100.64.0.1/": "shared by a provider's customers",
    "http://100.127.255.255/": "shared by a provider's customers",
    "http://192.0.0.1/": "reserved",
    "http://192.0.2.1/": "for documentation",
    "http://198.51.100.1/": "for documentation",
    "http://203.0.113.1/": "for documentation",
    "http://198.18.0.1/": "for benchmarks",
    "http://198.19.255.255/": "for benchmarks",
    "http://192.88.99.1/": "reserved",
    "http://224.0.0.1/": "multicast",
    "http://239.255.255.250:1900/": "multicast",
    "http://240.0.0.1/": "reserved",
    "http://255.255.255.255/": "broadcast",
    "http://[::1]/": "loopback",
    "http://[0:0:0:0:0:0:0:1]/": "loopback",
    "http://[::]/": "unspecified",
    "http://[::ffff:127.0.0.1]/": "loopback, written as IPv6",
    "http://[::ffff:7f00:1]/": "loopback, written as IPv6",
    "http://[::ffff:a9fe:a9fe]/": "a cloud's metadata, written as IPv6",
    "http://[::ffff:10.0.0.1]/": "private, written as IPv6",
    "http://[::127.0.0.1]/": "loopback, written as IPv6",
    "http://[64:ff9b::169.254.169.254]/": "a cloud's metadata, written as IPv6",
    "http://[64:ff9b::a00:1]/": "private, written as IPv6",
    "http://[64:ff9b:1::1]/": "private",
    "http://[2002:7f00:1::]/": "loopback, written as IPv6",
    "http://[2002:a9fe:a9fe::1]/": "a cloud's metadata, written as IPv6",
    "http://[2001:0:1::1]/": "reserved",
    "http://[2001:db8::1]/": "for documentation",
    "http://[fc00::1]/": "private",
    "http://[fd12:3456::1]/": "private",
    "http://[fd00:ec2::254]/latest/": "a cloud's metadata",
    "http://[fe80::1]/": "link-local",
    "http://[febf::1]/": "link-local",
    "http://[fec0::1]/": "private",
    "http://[ff02::1]/": "multicast",
    "http://[100::1]/": "reserved",
    "http://[4000::1]/": "reserved",
}

# Spellings that are read in one way by one program and in another by the next; and the reason.
SPELLINGS = {
    "http://2130706433/": "ends in a number",
    "http://017700000001/": "ends in a number",
    "http://0x7f000001/": "ends in a number",
    "http://0x7f.0.0.1/": "ends in a number",
    "http://0177.0.0.1/": "ends in a number",
    "http://127.1/": "ends in a number",
    "http://127.0.1/": "ends in a number",
    "http://127.0.0.01/": "ends in a number",
    "http://1.2.3.4.5/": "ends in a number",
    "http://256.0.0.1/": "ends in a number",
    "http://127.0.0.1./": "ends in a dot",
    "http://localhost./": "ends in a dot",
    "http://localhost../": "ends in a dot",
    "http://.localhost/": "expected a host name",
    "http://a..b/": "expected a host name",
    "http://①②⑦.⓪.⓪.①/": "ends in a number",
    "http://127。0。0。1/": "ends in a number",
    "http://１２７.0.0.1/": "ends in a number",
    "http://loc%61lhost/": "percent sign",
    "http://127.0.0.1%2f@example.com/": "user name",
    "http://example.com@127.0.0.1/": "user name",
    "http://user:password@example.com/": "user name",
    "http://127.0.0.1\\@example.com/": "backslash",
    "http:\\\\127.0.0.1\\": "backslash",
    "http:/127.0.0.1/": "two slashes",
    "http:127.0.0.1/": "two slashes",
    "http:///127.0.0.1/": "two slashes",
    "//127.0.0.1/": "not absolute",
    "/latest/meta-data/": "not absolute",
    "": "not absolute",
    "http:///": "two slashes",
    "http://:80/": "names no host",
    "http://[::1/": "not in brackets",
    "http://[::1]x/": "not in brackets",
    "http://::1/": "names no host",
    "http://[fe80::1%25eth0]/": "percent sign",
    "http://[127.0.0.1]/": "no address of IPv6",
    "http://[v1.x]/": "no address of IPv6",
    "http://127.0.0.1:/": "port is not a number",
    "http://127.0.0.1:080/": "port is not a number",
    "http://127.0.0.1:65536/": "port is not a number",
    "http://127.0.0.1:٣/": "port is not a number",
    "http://127.0.0.1 /": "a space",
    "http://127.0.0.1\t/": "a space",
    "http://exa\nmple.com/": "a space",
    "http://exam\0ple.com/": "a space",
    " http://127.0.0.1/": "a space",
    "file:///etc/passwd": "scheme",
    "ftp://example.com/": "scheme",
    "gopher://127.0.0.1:6379/_INFO": "scheme",
    "data:text/plain,hello": "scheme",
    "javascript://127.0.0.1/": "scheme",
    "unix:///var/run/docker.sock": "scheme",
    "http://☃.☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃/": "no name of IDNA",
    "http://" + "a" * 64 + ".com/": "expected a host name",
    "http://" + "a." * 130 + "com/": "expected a host name",
    "http://example.com/" + "a" * 9000: "9,019 characters",
}


async def refused(plugin: LoadedProvider, url: str, **asked: Any) -> PluginCallError:
    with pytest.raises(PluginCallError) as caught:
        await fetch(plugin, url, **asked)
    return caught.value


async def test_no_special_address_is_reached_by_its_url(
    fetching: Callable[..., Awaitable[LoadedProvider]], names: Names, tmp_path: Path
) -> None:
    plugin = await fetching(Policy(http=EVERYWHERE))
    for url, reason in ADDRESSES.items():
        error = await refused(plugin, url)
        assert error.kind is ErrorKind.PERMISSION_DENIED, url
        assert f"its address is {reason}, not of the public internet" in error.message, url
        assert "addresses = [" in error.message
    assert names.asked == []
    await plugin.shutdown()


async def test_no_spelling_is_read_in_two_ways(
    fetching: Callable[..., Awaitable[LoadedProvider]], names: Names
) -> None:
    plugin = await fetching(Policy(http=EVERYWHERE))
    for url, reason in SPELLINGS.items():
        error = await refused(plugin, url)
        assert error.kind is ErrorKind.INVALID_REQUEST, (url, error)
        assert reason in error.message, (url, error)
    assert names.asked == []


async def test_no_redirect_leads_to_a_special_address(
    fetching: Callable[..., Awaitable[LoadedProvider]], server: Server
) -> None:
    granted = {"url": server.origin, "methods": METHODS}
    plugin = await fetching(Policy(http=[*EVERYWHERE, granted]))
    for url, reason in ADDRESSES.items():
        server.answers["/"] = lambda exchange, url=url: exchange.answer(302, location=url)
        error = await refused(plugin, server.origin, follow_redirects=True)
        assert error.kind is ErrorKind.PERMISSION_DENIED, url
        assert f"its address is {reason}" in error.message, url
    assert len(server.seen) == len(ADDRESSES)


async def test_no_redirect_is_read_in_two_ways(
    fetching: Callable[..., Awaitable[LoadedProvider]], server: Server, names: Names
) -> None:
    granted = {"url": server.origin, "methods": METHODS}
    plugin = await fetching(Policy(http=[*EVERYWHERE, granted]))
    absolute = {
        url: reason
        for url, reason in SPELLINGS.items()
        if reason not in ("not absolute", "two slashes", "a space")
        and url.isascii()
        and url.isprintable()
    }
    for url in absolute:
        server.answers["/"] = lambda exchange, url=url: exchange.answer(302, location=url)
        error = await refused(plugin, server.origin, follow_redirects=True)
        assert error.kind is ErrorKind.PERMISSION_DENIED, (url, error)
    assert names.asked == []
    assert len(server.seen) == len(absolute)


async def test_no_name_leads_to_a_special_address(
    fetching: Callable[..., Awaitable[LoadedProvider]], names: Names
) -> None:
    plugin = await fetching(Policy(http=EVERYWHERE))
    for i, (url, reason) in enumerate(ADDRESSES.items()):
        host = url.partition("://")[2].partition("/")[0]
        address = host[1:-1] if host.startswith("[") else host.partition(":")[0]
        names.answers[f"one-{i}.test"] = [[address]]
        names.answers[f"mixed-{i}.test"] = [["93.184.216.34", address]]
        for name in ("one", "mixed"):
            error = await refused(plugin, f"https://{name}-{i}.test/")
            assert error.kind is ErrorKind.PERMISSION_DENIED, url
            assert f"its address is {reason}" in error.message, url
            assert address not in error.message  # what names the operator has is not told


async def test_a_name_is_asked_for_once_and_the_connection_goes_there(
    fetching: Callable[..., Awaitable[LoadedProvider]], server: Server, names: Names
) -> None:
    """A name that changes between the check and the connection."""
    grant = {
        "url": f"http://rebinding.test:{server.port}",
        "methods": METHODS,
        "addresses": ["127.0.0.1"],
    }
    plugin = await fetching(Policy(http=[grant]))
    server.answers["/"] = lambda exchange: exchange.answer(200, b"the right one")
    names.answers["rebinding.test"] = [["127.0.0.1"], ["127.0.0.2"], ["169.254.169.254"]]
    url = f"http://rebinding.test:{server.port}/"
    assert await fetch(plugin, url) == "the right one"
    assert names.asked == ["rebinding.test"]
    assert server.seen[0].header("host") == f"rebinding.test:{server.port}"
    # The next requests ask again, and are refused, although a connection is still open.
    for reason in ("loopback", "a cloud's metadata"):
        assert f"its address is {reason}" in (await refused(plugin, url)).message
    assert len(server.seen) == 1


async def test_what_was_refused_is_in_the_audit_with_its_reason(
    fetching: Callable[..., Awaitable[LoadedProvider]], host: PluginHost, tmp_path: Path
) -> None:
    plugin = await fetching(Policy(http=EVERYWHERE))
    for url in ADDRESSES:
        await refused(plugin, url)
    await host.close()
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    denied = [line for line in lines if line["kind"] == "http"]
    assert [line["reason"] for line in denied] == [
        f"address is {reason}" for reason in ADDRESSES.values()
    ]
    assert not any(line["allowed"] for line in denied)


def test_the_matrix_is_as_large_as_it_should_be() -> None:
    assert len(ADDRESSES) + len(SPELLINGS) >= 100


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "2001:4860:4860::8888",
     "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "::ffff:8.8.8.8",
     "64:ff9b::8.8.8.8", "2002:808:808::1", "223.255.255.255", "11.0.0.0", "126.255.255.255"],
)  # fmt: skip
def test_the_public_internet_is_not_special(address: str) -> None:
    assert special(ipaddress.ip_address(address)) is None


def test_a_grant_of_an_address_is_of_however_it_is_written() -> None:
    networks = [ipaddress.ip_network("10.1.0.0/16")]
    for text, granted in {
        "10.1.2.3": True,
        "::ffff:10.1.2.3": True,
        "10.2.0.0": False,
        "::1": False,
        "::ffff:10.2.0.0": False,
    }.items():
        assert is_granted(ipaddress.ip_address(text), networks) is granted


def test_the_plugin_of_these_tests_asks_for_everything() -> None:
    assert {one.url for one in manifest().http} == set(ANYWHERE)
    assert PluginExport(manifest(), Fetching).manifest.name == "small"


async def test_an_address_with_a_zone_is_an_error_of_the_plugins(
    fetching: Callable[..., Awaitable[LoadedProvider]], names: Names
) -> None:
    names.answers["zoned.example"] = [["fe80::1%lo"]]
    plugin = await fetching(Policy(http=[{"url": "http://zoned.example"}]))
    with pytest.raises(PluginCallError, match="link-local"):
        await fetch(plugin, "http://zoned.example/")
    granted = {"url": "http://zoned.example", "addresses": ["fe80::/10"]}
    plugin = await fetching(Policy(http=[granted]))
    with pytest.raises(PluginCallError) as caught:
        await fetch(plugin, "http://zoned.example/")
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_only_what_stays_here_is_loopback() -> None:
    for text in ("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(ipaddress.ip_address(text))
    # Of networks that translate: on the way there, whoever listens reads a secret.
    for text in ("2002:7f00:1::", "64:ff9b::7f00:1", "::127.0.0.1", "10.0.0.1", "::ffff:8.8.8.8"):
        assert not is_loopback(ipaddress.ip_address(text))
