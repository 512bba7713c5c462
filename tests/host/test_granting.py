"""What a manifest asks for beside what a policy grants: granted is what is granted whole."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.capabilities.capability import Asked
from orchestrator_plugin_host.capabilities.http.rules import DeniedError, HttpRules
from orchestrator_plugin_host.granting import asked_for
from orchestrator_plugin_host.policy import HttpGrant, Policy, PolicyFile
from orchestrator_plugin_sdk import PluginManifest, PluginType, SdkVersionRange
from orchestrator_plugin_sdk.capabilities.http import HttpRequirement
from orchestrator_plugin_sdk.capabilities.secrets import SecretRequirement
from orchestrator_plugin_sdk.origins import Origin

API = "https://api.example.com"
ALL = "https://*.example.com"


def manifest(
    http: Sequence[tuple[str, Sequence[str]]] = (), secrets: Sequence[str] = ()
) -> PluginManifest:
    return PluginManifest(
        name="p",
        type=PluginType.PROVIDER,
        sdk_version=SdkVersionRange(1, 1),
        version="1.0.0",
        http=tuple(HttpRequirement(url, tuple(methods)) for url, methods in http),
        secrets={"key": SecretRequirement(tuple(secrets))} if secrets else {},
    )


def policy(*http: tuple[str, Sequence[str]], **more: Any) -> Policy:
    return Policy(http=tuple(HttpGrant(url=url, methods=tuple(some)) for url, some in http), **more)


def only(asking: PluginManifest, granting: Policy) -> Asked:
    (one,) = asked_for(asking, granting)
    return one


HTTP: dict[str, tuple[tuple[str, list[str]], list[tuple[str, list[str]]], bool, str | None]] = {
    "nothing": ((API, ["GET"]), [], False, None),
    "another origin": ((API, ["GET"]), [("https://example.com", ["GET"])], False, None),
    "whole": ((API, ["GET", "POST"]), [(API, ["POST", "GET"])], True, None),
    "by two grants": ((API, ["GET", "POST"]), [(API, ["GET"]), (ALL, ["POST"])], True, None),
    "by a wider one": ((ALL, ["GET"]), [("https://*", ["GET"])], True, None),
    "a method less": ((API, ["GET", "POST"]), [(API, ["GET"])], False, f"POST ({API})"),
    "no method of it": ((API, ["GET"]), [(API, ["POST"])], False, None),
    "some origins": ((ALL, ["GET"]), [(API, ["GET"])], False, f"GET but for {API} ({ALL})"),
    "a port of all": (
        ("http://*:*", ["GET"]), [("http://*", ["GET"])], False, "GET but for http://* (http://*:*)",
    ),
    "both less": (
        (ALL, ["GET", "POST"]),
        [(API, ["GET"])],
        False,
        f"GET but for {API} ({ALL}); POST ({ALL})",
    ),
    "another scheme": (("http://a.test", ["GET"]), [("https://a.test", ["GET"])], False, None),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "grants", "granted", "missing"), HTTP.values(), ids=HTTP)
def test_http(
    asked: tuple[str, list[str]],
    grants: list[tuple[str, list[str]]],
    granted: bool,
    missing: str | None,
) -> None:
    found = only(manifest(http=[asked]), policy(*grants))
    assert (found.granted, found.missing) == (granted, missing)
    if not granted:  # with the line, it is
        read = PolicyFile.model_validate(tomllib.loads(found.line)).of("p")
        together = Policy(http=(*policy(*grants).http, *read.http))
        assert only(manifest(http=[asked]), together).granted


SECRETS: dict[str, tuple[list[str], bool, str | None]] = {
    "wherever the manifest says": ([], True, None),
    "whole": ([API, "https://b.test"], True, None),
    "wider": (["https://*"], True, None),
    "one of two": ([API], False, "it may not go to https://b.test"),
    "none of them": (["https://c.test"], False, None),
}


@pytest.mark.parametrize(("urls", "granted", "missing"), SECRETS.values(), ids=SECRETS)
def test_secrets(urls: list[str], granted: bool, missing: str | None) -> None:
    asking = manifest(secrets=[API, "https://b.test"])
    grant: dict[str, Any] = {"env": "KEY", **({"urls": urls} if urls else {})}
    found = only(asking, Policy(secrets={"key": grant}))
    assert (found.granted, found.missing) == (granted, missing)
    assert not only(asking, Policy()).granted


HOSTS = ["a.test", "b.a.test", "c.b.a.test", "1.2.3.4"]
PATTERNS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from([*HOSTS, "*", "*.a.test", "*.b.a.test"]),
    st.sampled_from(["", ":8080", ":*"]),
)
METHODS = st.lists(st.sampled_from(["GET", "POST", "PUT"]), min_size=1, max_size=3)
ORIGINS = [
    Origin(scheme, host, port)
    for scheme in ("http", "https")
    for host in [*HOSTS, "x.test", "y.a.test", "y.b.a.test"]
    for port in (80, 443, 8080, 9)
]


@given(st.tuples(PATTERNS, METHODS), st.lists(st.tuples(PATTERNS, METHODS), max_size=4))
def test_granted_is_what_no_request_of_is_denied(
    asked: tuple[str, list[str]], grants: list[tuple[str, list[str]]]
) -> None:
    asking, granting = manifest(http=[asked]), policy(*grants)
    found = only(asking, granting)
    all_of_it = [(f"{scheme}://*:*", ["GET", "POST", "PUT"]) for scheme in ("http", "https")]
    everything = HttpRules("p", asking.http, policy(*all_of_it).http)
    rules = HttpRules("p", asking.http, granting.http)
    answers = {
        _allows(rules, method, origin)
        for method in set(asked[1])
        for origin in ORIGINS
        if _allows(everything, method, origin)
    }
    expected = {True: (True, False), False: (False, False), None: (False, True)}
    outcome = answers.pop() if len(answers) == 1 else None
    assert (found.granted, found.missing is not None) == expected[outcome]


def _allows(rules: HttpRules, method: str, origin: Origin) -> bool:
    try:
        rules.check(method, origin)
    except DeniedError:
        return False
    return True


def test_a_secret_whose_places_are_not_all_granted_is_granted_in_part() -> None:
    asked = SecretRequirement(("https://a.test",), headers=("x-key",), query=("key",), json=("/k",))
    asking = replace(manifest(), secrets={"one": asked})

    def shown(**places: list[str]) -> Asked:
        (found,) = asked_for(asking, Policy(secrets={"one": {"env": "ONE", **places}}))
        return found

    whole = shown(headers=["x-key"], query=["key"], json=["/k"])
    assert whole.granted
    assert whole.missing is None
    part = shown(query=["key"])
    assert not part.granted
    assert part.missing == "it may not stand in headers x-key; it may not stand in json /k"
    assert 'headers = ["x-key"]' in part.line
