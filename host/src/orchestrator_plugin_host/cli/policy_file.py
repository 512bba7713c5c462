"""A digest written into a policy file, of which everything else stays as it is."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PolicyError
from ..pinning import digest_line, pin_lines
from ..policy import read_policy


@dataclass(frozen=True, slots=True)
class Pinned:
    """What has become of a policy file. `before` is the digest that it named for the plugin;
    `lost`, what the plugin had of `[default]` until it was named; `text` says it to people."""

    text: str
    before: str | None
    lost: tuple[str, ...]


def pin_in_file(path: Path, plugin: str, digest: str) -> Pinned:
    """Writes the digest of a plugin, in hexadecimal, into a policy file, which is replaced as a
    whole. Raises `PolicyError` or `OSError`."""
    policies = read_policy(path)
    named = policies.plugins.get(plugin)
    before = None if named is None else named.digest
    lost = () if named is not None else policies.default.grants
    if before == digest:
        return Pinned(f"{plugin}: sha256:{digest} already", before, lost)
    # Bytes, since a text would be read with other ends of its lines.
    text = path.read_bytes().decode()
    _replace(path.resolve(), with_digest(text, plugin, digest).encode())
    old = "" if before is None else f"sha256:{before} → "
    return Pinned(f"{plugin}: {old}sha256:{digest}", before, lost)


def _replace(path: Path, data: bytes) -> None:
    """Replaces the content of a file at once, so that nobody reads half of it. Owner and mode stay
    what they are, if that is allowed."""
    info = path.stat()
    file, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(file, "wb") as opened:
            with suppress(PermissionError):
                os.fchown(file, info.st_uid, info.st_gid)
            os.fchmod(file, info.st_mode & 0o777)
            opened.write(data)
            opened.flush()
            os.fsync(file)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def with_digest(text: str, plugin: str, digest: str) -> str:
    """The text of a policy file, which is valid, with this digest for a plugin.

    Comments, and the order and layout of all else, are kept. Raises `PolicyError` if it can't be
    done so; the message has the lines to add by hand.
    """
    expected = tomllib.loads(text)
    expected.setdefault("plugins", {}).setdefault(plugin, {})["digest"] = f"sha256:{digest}"
    for change in (_below_its_header, _by_tomlkit):
        made = change(text, plugin, digest)
        if made is not None and _means(made, expected):
            return made
    raise PolicyError(
        "the digest can't be added to the policy as it is laid out: write into it, in place of the "
        f"digest that is there,\n{pin_lines(plugin, digest)}"
    )


def _means(text: str, expected: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except ValueError:
        return False


def _below_its_header(text: str, plugin: str, digest: str) -> str | None:
    """The line right below `[plugins.NAME]`: tomlkit would write it below the last comment, which
    may be about the table that follows."""
    header = rf"^[ \t]*\[[ \t]*plugins[ \t]*\.[ \t]*{re.escape(plugin)}[ \t]*\][^\r\n]*(\r?\n)"
    found = re.search(header, text, re.MULTILINE)
    if found is None:
        return None
    return f"{text[: found.end()]}{digest_line(digest)}{found[1]}{text[found.end() :]}"


def _by_tomlkit(text: str, plugin: str, digest: str) -> str | None:
    import tomlkit  # for those who pin
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        if "plugins" not in document:
            document["plugins"] = tomlkit.table(is_super_table=True)
        plugins = document["plugins"]
        if plugin not in plugins:
            plugins[plugin] = tomlkit.table()
        plugins[plugin]["digest"] = f"sha256:{digest}"
        return str(document.as_string())
    except (TOMLKitError, KeyError, TypeError, ValueError):
        return None
