"""The tables of TOML that ask for requests, and that grant them."""

from __future__ import annotations

from collections.abc import Iterable

from ..remedies import table, toml_list, toml_text


def asking(url: str, methods: Iterable[str]) -> str:
    """For `plugin.toml`."""
    return f"[[http]]\n{_lines(url, methods)}"


def granting(plugin: str, url: str, methods: Iterable[str], addresses: Iterable[str] = ()) -> str:
    """For the policy; `addresses` are special ones."""
    text = f"{table(plugin, 'http', many=True)}\n{_lines(url, methods)}"
    special = sorted(addresses)
    return f"{text}\naddresses = {toml_list(special)}" if special else text


def _lines(url: str, methods: Iterable[str]) -> str:
    return f"url = {toml_text(url)}\nmethods = {toml_list(methods)}"
