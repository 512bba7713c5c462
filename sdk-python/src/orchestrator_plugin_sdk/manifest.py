"""The manifest: what a plugin says about itself before any of it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .capabilities.checking import is_name
from .capabilities.registry import Requirements, problems_of_table
from .capabilities.secrets import ConfigField
from .codec import to_document
from .errors import DocumentError, PluginValidationError, PluginVersionMismatchError, Problem
from .naming import PluginType
from .payload import PayloadEncoding
from .schema import from_document
from .version import SDK_VERSION, SdkVersionRange
from .visible import quoted, shown_key


@dataclass(frozen=True, slots=True)
class ManifestLimits:
    """The limits a plugin can do with. They lower the operator's, never raise them.

    Each has the meaning and unit of the host's limit of the same name; none means the operator's.
    """

    fuel: int | None = None
    deadline_ms: int | None = None
    memory_bytes: int | None = None
    document_in_bytes: int | None = None
    document_out_bytes: int | None = None
    log_events: int | None = None
    log_bytes: int | None = None
    stream_events: int | None = None
    concurrent_calls: int | None = None


@dataclass(frozen=True, slots=True)
class PluginManifest(Requirements):
    """What a plugin says about itself.

    `name` is lower case, of letters, digits and dashes; `version` is the plugin's own, as in
    semantic versioning. `payload_encodings` are the forms of a payload that a component reads, as
    `bytes` always is. `stateful` says that its calls depend on earlier ones, so that they must all
    go to one instance; unless set, it is true for vector memory backends alone.
    `fresh_instances` says that no instance may serve a second call. With `config`, the config has
    these fields and no others. What it wants to reach is in the fields of `Requirements`: it gets
    what the operator grants of that.
    """

    name: str
    type: PluginType
    sdk_version: SdkVersionRange
    version: str
    description: str = ""
    author: str | None = None
    license: str | None = None
    homepage: str | None = None
    payload_encodings: tuple[PayloadEncoding, ...] = ("bytes",)
    stateful: bool | None = None
    fresh_instances: bool = False
    limits: ManifestLimits = field(default_factory=ManifestLimits)
    config: Mapping[str, ConfigField] | None = None

    @property
    def keeps_state(self) -> bool:
        """Whether all calls must go to one instance."""
        if self.stateful is None:
            return self.type is PluginType.VECTOR_MEMORY_BACKEND
        return self.stateful


# The pattern of https://semver.org, version 2.0.0
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def validate_manifest(manifest: PluginManifest | Mapping[str, Any]) -> PluginManifest:
    """The manifest, checked. The one check, of native plugins and components alike.

    Raises `PluginValidationError` that lists every fault.
    """
    document = _as_document(manifest)
    name = document.get("name")
    title = f"the manifest of plugin {quoted(name)}" if isinstance(name, str) else "the manifest"
    try:
        checked = from_document(PluginManifest, document)
    except DocumentError as error:
        raise PluginValidationError(f"{title} is not valid:", error.problems) from None
    problems = list(_problems(checked))
    if problems:
        raise PluginValidationError(f"{title} is not valid:", problems)
    return cast("PluginManifest", checked)


def _as_document(manifest: PluginManifest | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(manifest, (PluginManifest, Mapping)):
        raise PluginValidationError(
            f"the manifest is not valid: expected a map, got {type(manifest).__name__}"
        )
    try:
        return cast("dict[str, Any]", to_document(manifest))
    except DocumentError as error:
        raise PluginValidationError(f"the manifest is not valid: {error}") from None


def _problems(manifest: PluginManifest) -> list[Problem]:
    found: list[Problem] = []
    if not is_name(manifest.name):
        found.append(
            Problem(
                "name",
                "expected lower-case letters and digits with single dashes between, at most 64 "
                f"characters, got {quoted(manifest.name)}",
            )
        )
    if not _VERSION.fullmatch(manifest.version):
        found.append(
            Problem("version", f"expected a version like 1.0.0, got {quoted(manifest.version)}")
        )
    huge = [path for path, value in _numbers(manifest) if value.bit_length() > 64]
    if huge:  # TOML may have them; a document may not, nor can a message name them
        return [*found, *(Problem(path, "expected at most 64 bits") for path in huge)]
    wanted = manifest.sdk_version
    if wanted.min_version < 1:
        found.append(Problem("sdk_version.min_version", "expected 1 or more"))
    if wanted.max_version is not None and wanted.max_version < wanted.min_version:
        found.append(Problem("sdk_version.max_version", f"expected {wanted.min_version} or more"))
    for name in ManifestLimits.__slots__:
        value = getattr(manifest.limits, name)
        least = 0 if name.startswith("log_") else 1
        if value is not None and value < least:
            found.append(Problem(f"limits.{name}", f"expected {least} or more, got {value}"))
    if manifest.fresh_instances and manifest.keeps_state:
        found.append(Problem("fresh_instances", "a stateful plugin keeps its instance"))
    return [*found, *manifest.requirement_problems(), *_problems_of_config(manifest)]


def _problems_of_config(manifest: PluginManifest) -> Iterator[Problem]:
    config = manifest.config or {}
    yield from problems_of_table("config", config)
    for name in config.keys() & manifest.secrets.keys():
        if config[name].secret:
            key = shown_key(name)
            yield Problem(f"config.{key}", f"there is a secret of this name: [secrets.{key}]")


def _numbers(manifest: PluginManifest) -> Iterator[tuple[str, int]]:
    for part in ("sdk_version", "limits"):
        for name, value in to_document(getattr(manifest, part)).items():
            if value is not None:
                yield f"{part}.{name}", value


def check_version(manifest: PluginManifest) -> None:
    """The one version check. Raises `PluginVersionMismatchError`."""
    if not manifest.sdk_version.includes(SDK_VERSION):
        raise PluginVersionMismatchError(manifest.name, manifest.sdk_version, SDK_VERSION)
