"""The tables of TOML that ask for files, and that grant them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..remedies import table, toml_key, toml_list, toml_map
from .grant import FolderQuota


def asking(roots: Iterable[str] = (), folders: Iterable[str] = ()) -> str:
    """For `plugin.toml`: of `data` and `artifacts`, and of folders of the operator's."""
    lines = ["[files]", *(f"{root} = true" for root in roots)]
    named = list(folders)
    return "\n".join([*lines, *([f"folders = {toml_list(named)}"] if named else [])])


def granting(plugin: str, **roots: FolderQuota) -> str:
    """For the policy: `data`, `artifacts`, `artifacts_total`."""
    lines = [
        f"{root} = {toml_map(bytes=quota.bytes, files=quota.files)}"
        for root, quota in roots.items()
    ]
    return "\n".join([table(plugin, "files"), *lines])


def granting_folders(plugin: str, folders: Mapping[str, str]) -> str:
    """For the policy: folders of the operator's, each with the text of where it is."""
    lines = [f"{toml_key(name)} = {place}" for name, place in folders.items()]
    return "\n".join([table(plugin, "files", "folders"), *lines])
