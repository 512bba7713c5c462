"""Secrets: where their values go, and where they are never found."""

from __future__ import annotations

import base64
import json
import logging
import traceback
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import (
    HttpLimitError,
    Limits,
    LoadedProvider,
    PluginHost,
    PluginRefusedError,
    Policy,
    SecretError,
)
from orchestrator_plugin_host.capabilities.secrets.binding import bind
from orchestrator_plugin_host.capabilities.secrets.bound import Secrets
from orchestrator_plugin_host.capabilities.secrets.scrubbing import SCRUBBED
from orchestrator_plugin_sdk import (
    ConfigField,
    ErrorKind,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    PluginManifest,
    PluginValidationError,
    SecretRequirement,
)
from support.servers import Exchange, Server, serving

from .conftest import ANYWHERE, METHODS, Names, fetch, manifest

SECRET = "sk-very/secret+value=é0123456789"
ASCII = "sk-very/secret+value=0123456789"

Fetching = Callable[..., Awaitable[LoadedProvider]]


def declaring(**secrets: Any) -> PluginManifest:
    return replace(manifest(), secrets=secrets)


def bound(urls: tuple[str, ...] = ("https://api.test",), value: str = ASCII) -> Secrets:
    """One secret, bound by a config."""
    declared = replace(
        manifest(), secrets={}, config={"api_key": ConfigField("text", secret=True, urls=urls)}
    )
    return bind(declared, {}, {"api_key": value})[0]


# --- binding ------------------------------------------------------------------------------------


def test_a_secret_is_read_from_where_the_policy_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", "value-of-one")
    (tmp_path / "two").write_text("value-of-two\n")
    urls = ("https://api.test",)
    declared = declaring(one=SecretRequirement(urls), two=SecretRequirement(urls))
    policy = Policy(secrets={"one": {"env": "ONE"}, "two": {"file": tmp_path / "two"}})
    secrets, config = bind(declared, policy.secrets, {"a": 1})
    assert config == {"a": 1}
    for name, value in (("one", "value-of-one"), ("two", "value-of-two")):
        assert secrets.into_text(f"<{secrets.references[name]}>") == f"<{value}>"
    assert "value" not in repr(secrets)


def test_a_secret_is_read_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Kept(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return "kept-by-the-ring" if (service, username) == ("llm", "me") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Kept())
    try:
        declared = declaring(one=SecretRequirement(("https://api.test",)))
        policy = Policy(secrets={"one": {"keyring": ["llm", "me"]}})
        secrets, _ = bind(declared, policy.secrets, {})
        assert secrets.into_text(secrets.references["one"]) == "kept-by-the-ring"
        other = Policy(secrets={"one": {"keyring": ["llm", "you"]}})
        with pytest.raises(SecretError, match="the keyring has none for service 'llm', user 'you'"):
            bind(declared, other.secrets, {})
    finally:
        keyring.set_keyring(before)


NOT_BOUND: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "not granted": (
        {},
        PluginRefusedError,
        r"\[plugins.small.secrets\]\n  one = { env = \"ONE\" }",
    ),
    "not set": ({"env": "NOT_THERE"}, SecretError, "NOT_THERE, which is not set"),
    "no file": ({"file": "/not/there"}, SecretError, "can't be read: No such file"),
    "a folder": ({"file": "/"}, SecretError, "can't be read: Is a directory"),
    "too short": ({"env": "SHORT"}, SecretError, "must be 6 to 65,536 characters"),
    "several lines": ({"env": "LINES"}, SecretError, "on one line"),
    "no source": ({"urls": ["https://api.test"]}, PluginRefusedError, "does not bind"),
}


@pytest.mark.parametrize("case", NOT_BOUND)
def test_what_is_not_bound_is_explained(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "12345")
    monkeypatch.setenv("LINES", "first\nsecond")
    grant, kind, said = NOT_BOUND[case]
    declared = declaring(one=SecretRequirement(("https://api.test",)))
    policy = Policy(secrets={"one": grant} if grant else {})
    with pytest.raises(kind, match=said) as caught:
        bind(declared, policy.secrets, {})
    assert "12345" not in str(caught.value)
    assert "second" not in str(caught.value)


def test_a_short_value_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bound(value="sixteen-letters!")
    assert caplog.text == ""
    bound(value="seven77")
    assert "'api_key' has 7 characters" in caplog.text
    assert "seven77" not in caplog.text


async def test_of_a_value_that_is_refused_nothing_is_in_the_frames_of_the_error(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator_plugin_sdk import PluginExport

    from .conftest import Fetching as FetchingPlugin

    monkeypatch.setenv("LINES", "a first line\nand a second")
    declared = declaring(one=SecretRequirement(("https://api.test",)))
    policy = Policy(secrets={"one": {"env": "LINES"}})
    with pytest.raises(SecretError) as caught:
        await host.load(PluginExport(declared, FetchingPlugin), policy=policy)
    assert "and a second" not in repr(locals_of(caught.value))


def test_a_secret_for_hosts_without_names_needs_the_operator_to_name_some() -> None:
    for url in ("https://*", "https://*.com", "https://*.api.test:*"):
        with pytest.raises(PluginRefusedError, match="does not name: add to the policy"):
            bound((url,))


def test_what_is_optional_may_be_missing() -> None:
    declared = declaring(one=SecretRequirement(("https://api.test",), required=False))
    assert bind(declared, {}, {})[0].references == {}


@pytest.mark.anyio
async def test_a_secret_in_the_config_is_a_reference_to_the_plugin(
    host: PluginHost, server: Server
) -> None:
    from orchestrator_plugin_sdk import ModelRequest, ModelResponse, PluginExport

    from .conftest import Fetching as FetchingPlugin

    class Configured(FetchingPlugin):
        async def init(self, config: Any, ctx: PluginContext) -> None:
            self.config = dict(config)

        async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
            await ctx.http.request(
                "GET", server.origin, headers={"x-api-key": str(self.config["api_key"])}
            )
            return ModelResponse(str(self.config["api_key"]))

    server.answers["/"] = lambda exchange: exchange.answer(200)
    fields = {
        "api_key": ConfigField("text", required=True, secret=True, urls=("http://*:*",)),
        "model": ConfigField("text"),
    }
    export = PluginExport(replace(manifest(), secrets={}, config=fields), Configured)
    policy = Policy(http=[{"url": server.origin}], secrets={"api_key": {"urls": [server.origin]}})
    plugin = await host.load(
        export, {"api_key": ASCII, "model": "m"}, policy=policy, expect=LoadedProvider
    )
    assert (await plugin.generate({"messages": []})).text.startswith("{{secret:api_key:")
    assert server.seen[0].header("x-api-key") == ASCII
    for wrong, said in (
        ({}, "config.api_key: missing"),
        ({"api_key": ASCII, "modle": "m"}, "config.modle: unknown key"),
        ({"api_key": ASCII, "model": 1}, "config.model: expected text, got a int"),
    ):
        with pytest.raises(PluginValidationError, match=said) as caught:
            await host.load(export, wrong, policy=policy)
        assert ASCII not in str(caught.value)


# --- where it goes --------------------------------------------------------------------------------


def policy_for(server: Server, **secret: Any) -> Policy:
    return Policy(
        http=[{"url": url, "methods": METHODS, "addresses": ["127.0.0.0/8"]} for url in ANYWHERE],
        secrets={
            "api_key": {"env": "API_KEY", "urls": [server.origin], "query": ["key"], **secret}
        },
    )


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", ASCII)


@pytest.mark.anyio
async def test_a_secret_goes_to_no_other_host(
    fetching: Fetching, server: Server, names: Names
) -> None:
    names.answers["other.test"] = [["127.0.0.1"]]
    plugin = await fetching(policy_for(server))
    for where in (f"http://other.test:{server.port}", f"http://127.0.0.2:{server.port}"):
        with pytest.raises(PluginCallError, match="secret 'api_key'") as caught:
            await fetch(plugin, where, headers={"authorization": "Bearer SECRET"})
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
        assert "the policy does not say that it is for there" in caught.value.message
    assert server.seen == []


@pytest.mark.anyio
async def test_a_secret_goes_nowhere_without_tls_but_to_this_machine(
    fetching: Fetching, server: Server, names: Names
) -> None:
    names.answers["api.test"] = [["93.184.216.34"]]
    plugin = await fetching(policy_for(server, urls=["http://api.test"]))
    with pytest.raises(PluginCallError, match="without TLS: use https"):
        await fetch(plugin, "http://api.test/", headers={"authorization": "SECRET"})


@pytest.mark.anyio
async def test_a_secret_goes_by_tls_to_who_has_the_certificate(
    fetching: Fetching, names: Names
) -> None:
    with serving({}, certificate_for="api.test") as server:
        server.answers["/"] = lambda exchange: exchange.answer(200, b"hello")
        for name in ("api.test", "evil.test"):
            names.answers[name] = [["127.0.0.1"]]
        urls = [f"https://api.test:{server.port}", f"https://evil.test:{server.port}"]
        plugin = await fetching(policy_for(server, urls=urls))
        asked = {"headers": {"authorization": "Bearer SECRET"}}
        assert await fetch(plugin, urls[0], **asked) == "hello"
        assert server.seen[0].header("authorization") == f"Bearer {ASCII}"
        with pytest.raises(PluginCallError, match="its certificate is not valid") as caught:
            await fetch(plugin, urls[1], **asked)
        assert not caught.value.retryable
        assert len(server.seen) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_takes_no_credentials_along(
    fetching: Fetching, server: Server, status: int
) -> None:
    with serving({}) as other:
        server.answers["/"] = lambda exchange: exchange.answer(status, location=f"{other.origin}/x")
        server.answers["/same"] = lambda exchange: exchange.answer(status, location="/there")
        server.answers["/there"] = lambda exchange: exchange.answer(200, b"there")
        other.answers["/x"] = lambda exchange: exchange.answer(200, b"other")
        plugin = await fetching(policy_for(server))
        asked: dict[str, Any] = {
            "follow_redirects": True,
            "headers": {"x-api-key": "SECRET", "authorization": "Basic eDp5", "x-a": "b"},
        }
        assert await fetch(plugin, server.origin, **asked) == "other"
        assert other.seen[0].header("x-a") == "b"
        for name in ("x-api-key", "authorization"):
            assert server.seen[0].header(name) is not None
            assert other.seen[0].header(name) is None
        # The same origin gets them again.
        assert await fetch(plugin, f"{server.origin}/same", **asked) == "there"
        assert server.seen[-1].header("x-api-key") == ASCII
        # Not in a URL either, that the server made of what it was sent.
        server.answers["/"] = lambda exchange: exchange.answer(
            status, location=f"{other.origin}/x?key={urllib.parse.quote(ASCII, safe='')}"
        )
        with pytest.raises(PluginCallError, match="with a secret, which does not go along"):
            await fetch(plugin, server.origin, **asked)
        assert len(other.seen) == 1


@pytest.mark.anyio
async def test_what_looks_like_a_reference_is_none(fetching: Fetching, server: Server) -> None:
    """A user, or a model, can't write one: it has digits that they do not know."""
    server.answers["/"] = lambda exchange: exchange.answer(200)
    plugin = await fetching(policy_for(server))
    guess = "{{secret:api_key:0000000000000000}}"
    await fetch(plugin, server.origin, method="POST", headers={"x": guess}, json={"y": guess})
    assert server.seen[0].header("x") == guess
    assert json.loads(server.seen[0].body) == {"y": guess}


# --- where it is never found ----------------------------------------------------------------------


def spellings(value: str) -> dict[str, str]:
    encoded = value.encode()
    return {
        "plain": value,
        "json": json.dumps(value)[1:-1],
        "quoted": urllib.parse.quote(value, safe=""),
        "plus": urllib.parse.quote_plus(value),
        "hex": encoded.hex(),
        "HEX": encoded.hex().upper(),
        "basic": base64.b64encode(b"user:" + encoded).decode(),
        **{
            f"base64 {i}": base64.b64encode(b"x" * i + encoded + b"y" * i).decode()
            for i in range(3)
        },
        "base64url": base64.urlsafe_b64encode(encoded).decode(),
    }


@pytest.mark.anyio
@pytest.mark.parametrize("spelling", spellings(ASCII))
async def test_what_a_server_echoes_does_not_come_back(
    fetching: Fetching, server: Server, spelling: str
) -> None:
    echo = f"before {spellings(ASCII)[spelling]} after"

    def echoes(exchange: Exchange) -> None:
        exchange.begin(x_echo=echo)
        for byte in echo.encode():  # cut everywhere
            exchange.chunk(bytes([byte]))
        exchange.chunk(b"")

    server.answers["/"] = echoes
    plugin = await fetching(policy_for(server))
    text = await fetch(plugin, server.origin, headers={"authorization": "SECRET"})
    assert SCRUBBED in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    kept = spellings(ASCII)[spelling].replace(SCRUBBED, "")
    longest = max((n for n in range(len(kept)) if kept[n : n + 8] in text), default=None)
    assert longest is None or spelling.startswith(("base64", "basic")), text


def locals_of(error: BaseException) -> list[str]:
    """What a reporter of errors shows: the local variables of the frames, but for those of tests,
    which know the secret."""
    return [
        f"{frame.f_code.co_qualname}: {frame.f_locals!r}"
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if not Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parents[2])
    ]


@pytest.mark.anyio
async def test_no_output_of_the_host_has_it(
    fetching: Fetching,
    host: PluginHost,
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Logs at their finest, the audit, and every error with everything that hangs on it."""
    caplog.set_level(logging.DEBUG)
    answers: list[Callable[[Exchange], None]] = [
        lambda exchange: exchange.answer(200, ASCII.encode(), x_echo=ASCII),
        lambda exchange: exchange.answer(302, location=f"http://{ASCII}/"),
        lambda exchange: exchange.answer(302, location=f"/{ASCII}?{ASCII}"),
        lambda exchange: exchange.answer(200, ASCII.encode(), content_encoding="gzip"),
        lambda exchange: exchange.answer(200, ASCII.encode(), content_encoding=ASCII),
        lambda exchange: (
            exchange.wfile.write(f"HTTP/1.1 {ASCII}\r\n\r\n".encode()) and exchange.cut()
        ),
        lambda exchange: exchange.wfile.write(f"{ASCII}\r\n".encode()) and exchange.cut(),
        lambda exchange: exchange.cut(),
    ]
    logger = MemoryLogger()
    plugin = await fetching(policy_for(server), context=PluginContext(logger=logger))
    said = []
    for answer in answers:
        server.answers["/"] = answer
        for asked in (
            {"headers": {"authorization": "Bearer SECRET"}},
            {"query": {"key": "SECRET"}, "headers": {"x-api-key": "SECRET"}},
            {"headers": {"x-api-key": "SECRET\x00"}},
        ):
            try:
                said.append(await fetch(plugin, server.origin, follow_redirects=True, **asked))
            except Exception as error:
                said += traceback.format_exception(error)
                seen: BaseException | None = error
                while seen is not None:
                    said.append(f"{seen!r} {vars(seen)}")
                    said += locals_of(seen)
                    seen = seen.__cause__ or seen.__context__
    await host.close()
    out, err = capfd.readouterr()
    said += [out, err, caplog.text, (tmp_path / "audit.jsonl").read_text(), repr(logger.events)]
    assert any(ASCII in str(one.headers) for one in server.seen)
    assert "api_key" in said[-2]
    for text in said:
        for spelled in spellings(ASCII).values():
            assert spelled not in text


@pytest.mark.parametrize("where", ["what is sent", "what comes"])
async def test_an_error_in_the_midst_has_no_value_in_its_frames(
    fetching: Fetching, server: Server, where: str
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200, ASCII.encode() * 2_000)
    limits = Limits(http_up_bytes=2_000, http_down_bytes=20_000)
    plugin = await fetching(policy_for(server, json=["/user"]), limits=limits)
    asked: dict[str, Any] = {"headers": {"authorization": "SECRET"}}
    if where == "what is sent":
        asked = {"method": "POST", "json": {"user": "SECRET", "more": ["x" * 100] * 2_000}}
    with pytest.raises(HttpLimitError) as caught:
        await fetch(plugin, server.origin, **asked)
    error: BaseException | None = caught.value
    while error is not None:
        assert ASCII not in repr(locals_of(error))
        error = error.__cause__ or error.__context__


@pytest.fixture
def memory_of_workers() -> Callable[[], list[bytes]]:
    """All that the worker processes of this one have in their memory."""
    import os

    from support.processes import children

    def read() -> list[bytes]:
        found = []
        for pid in children(os.getpid()):
            maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                for line in maps:
                    span, rights = line.split()[:2]
                    start, end = (int(one, 16) for one in span.split("-"))
                    if "r" not in rights or "[v" in line or end - start > 1 << 30:
                        continue
                    try:
                        memory.seek(start)
                        found.append(memory.read(end - start))
                    except (OSError, OverflowError):
                        continue
        return found

    return read


@pytest.mark.anyio
async def test_a_guests_whole_memory_has_no_secret(
    host: PluginHost, server: Server, memory_of_workers: Callable[[], list[bytes]]
) -> None:
    """The guest's process, every byte of it: after it sent the secret, and had it echoed."""
    from support.building import REPOSITORY, built

    source = (
        "async def generates(self, req, ctx):\n"
        "    asked = {'authorization': 'Bearer ' + ctx.secret('api_key')}\n"
        "    url = req.messages[0].text\n"
        "    self.kept = await ctx.http.request('GET', url, headers=asked)\n"
        "    self.mark = 'the-mark-' + 'of-this-test'\n"
        "    return ModelResponse(self.kept.text)\n"
    )
    server.answers["/"] = lambda exchange: exchange.answer(200, f"you sent {ASCII}".encode())
    component = built(REPOSITORY / "tests/conformance/plugins/provider")
    plugin = await host.load(
        component,
        {"methods": {"generate": ["generates", source]}},
        policy=policy_for(server),
        expect=LoadedProvider,
        tier="process",
    )
    request = {"messages": [{"role": "user", "content": server.origin + "/"}]}
    response = await plugin.generate(request)
    assert response.text == "you sent [secret]"
    assert server.seen[0].header("authorization") == f"Bearer {ASCII}"
    memory = memory_of_workers()
    for mark in (b"the-mark-of-this-test", b"{{secret:api_key:"):
        assert any(mark in part for part in memory)
    for spelled in spellings(ASCII).values():
        assert not any(spelled.encode() in part for part in memory)


async def test_a_secret_that_no_header_can_have_is_in_no_error(
    fetching: Fetching, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_ASCII", SECRET)
    plugin = await fetching(
        Policy(
            http=[{"url": server.origin, "methods": METHODS}],
            secrets={"api_key": {"env": "NOT_ASCII", "urls": [server.origin]}},
        )
    )
    with pytest.raises(PluginCallError, match="not ASCII") as caught:
        await fetch(plugin, f"{server.origin}/", headers={"x-api-key": "SECRET"})
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {error.__dict__} {getattr(error, 'object', '')}"
        assert SECRET not in repr(locals_of(error))
        error = error.__cause__ or error.__context__
    assert not server.seen


def test_a_secret_in_a_key_is_taken_out_too() -> None:
    found = bound().scrub({"fields": {f"a {ASCII} b": [{ASCII: 1}]}})
    assert found == {"fields": {f"a {SCRUBBED} b": [{SCRUBBED: 1}]}}
    assert bound(value="fields").scrub({"fields": {"fields": 1}}) == {"fields": {SCRUBBED: 1}}


@pytest.mark.parametrize("where", ["host", "address", "encoding"])
async def test_a_secret_that_comes_back_cut_or_in_lower_case_is_in_no_error(
    fetching: Fetching,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: PluginHost,
    where: str,
) -> None:
    value = "Sk-AbCdEfGh0123456789" if where == "host" else "Sk-" + "AbCdEf01" * 10
    monkeypatch.setenv("KEY", value)

    def echo(exchange: Exchange) -> None:
        if where == "encoding":
            exchange.answer(200, b"", content_encoding=value)
        else:
            named = f"{value}.example" if where == "host" else f"[{value}]"
            exchange.answer(302, b"", location=f"https://{named}/")

    server.answers["/"] = echo
    plugin = await fetching(
        Policy(
            http=[{"url": server.origin, "methods": METHODS}],
            secrets={"api_key": {"env": "KEY", "urls": [server.origin]}},
        )
    )
    with pytest.raises(PluginCallError) as caught:
        await fetch(
            plugin, f"{server.origin}/", headers={"x-api-key": "SECRET"}, follow_redirects=True
        )
    await host.close()
    said = (caught.value.message + (tmp_path / "audit.jsonl").read_text()).lower()
    assert value.lower()[:16] not in said
