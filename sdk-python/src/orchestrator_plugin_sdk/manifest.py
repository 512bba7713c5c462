"""The manifest: what a plugin says about itself before any of it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from .codec import to_document
from .errors import DocumentError, PluginValidationError, PluginVersionMismatchError, Problem
from .naming import PluginType
from .origins import METHODS, OriginPattern
from .payload import PayloadEncoding
from .schema import from_document
from .secret_places import PlaceKind, check_place
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
class HttpRequirement:
    """Requests that a plugin makes: to the origins of a pattern (`OriginPattern`), by these
    methods."""

    url: str
    methods: tuple[str, ...] = ("GET",)


@dataclass(frozen=True, slots=True)
class SecretRequirement:
    """A secret that a plugin refers to, and the origins (`OriginPattern`) that it is for.

    It may stand in headers that are made for credentials (`SECRET_HEADERS`). What else is needed is
    in `headers`, `query` (names of parameters) and `json` (pointers, like `/auth/key`), and needs
    the same in the operator's policy.
    """

    urls: tuple[str, ...]
    description: str = ""
    required: bool = True
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    json: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field of the plugin's config. Of a `secret` one the plugin gets a reference, which it may
    use in requests to `urls`; the value stays with the host. `headers`, `query` and `json` as of
    `SecretRequirement`."""

    type: Literal["text", "integer", "number", "boolean", "list", "map", "any"] = "any"
    description: str = ""
    required: bool = False
    secret: bool = False
    urls: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    json: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilesRequirement:
    """Files that a plugin uses: a `data` folder of its own, an `artifacts` folder for each call,
    and folders of the operator's, to be read, by the names the operator grants them under."""

    data: bool = False
    artifacts: bool = False
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PluginManifest:
    """What a plugin says about itself.

    `name` is lower case, of letters, digits and dashes; `version` is the plugin's own, as in
    semantic versioning. `payload_encodings` are the forms of a payload that a component reads, as
    `bytes` always is. `stateful` says that its calls depend on earlier ones, so that they must all
    go to one instance; unless set, it is true for vector memory backends alone.
    `fresh_instances` says that no instance may serve a second call. `http`, `secrets` and `files`
    are what it wants to reach; it gets what the operator grants of that. With `config`, the config
    has these fields and no others.
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
    http: tuple[HttpRequirement, ...] = ()
    secrets: Mapping[str, SecretRequirement] = field(default_factory=dict)
    config: Mapping[str, ConfigField] | None = None
    files: FilesRequirement = field(default_factory=FilesRequirement)

    @property
    def keeps_state(self) -> bool:
        """Whether all calls must go to one instance."""
        if self.stateful is None:
            return self.type is PluginType.VECTOR_MEMORY_BACKEND
        return self.stateful


_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
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
    if not _NAME.fullmatch(manifest.name) or len(manifest.name) > 64:
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
    return [*found, *_problems_of_reach(manifest)]


def _problems_of_reach(manifest: PluginManifest) -> Iterator[Problem]:
    for i, asked in enumerate(manifest.http):
        yield from _problems_of_urls(f"http[{i}].url", [asked.url])
        for j, method in enumerate(asked.methods):
            if method not in METHODS:
                words = f"expected one of {', '.join(METHODS)}, got {quoted(method)}"
                yield Problem(f"http[{i}].methods[{j}]", words)
    config = manifest.config or {}
    for name, secret in manifest.secrets.items():
        path = f"secrets.{shown_key(name)}"
        yield from _problems_of_name(path, name)
        yield from _problems_of_urls(f"{path}.urls", secret.urls)
        yield from _problems_of_places(path, secret)
        if not secret.urls:
            yield Problem(f"{path}.urls", "expected an origin or more: what it is for")
        if name in config and config[name].secret:
            yield Problem(f"config.{shown_key(name)}", f"there is a secret of this name: [{path}]")
    for name, one in config.items():
        path = f"config.{shown_key(name)}"
        yield from _problems_of_name(path, name)
        yield from _problems_of_urls(f"{path}.urls", one.urls)
        yield from _problems_of_places(path, one)
        if not one.secret and (one.headers or one.query or one.json):
            yield Problem(path, "headers, query and json are for secret fields")
        if one.secret != bool(one.urls):
            yield Problem(
                f"{path}.urls", "a secret field has the origins that it is for; no other has"
            )
        if one.secret and one.type != "text":
            yield Problem(f"{path}.type", "a secret field is of the type 'text'")
    for i, folder in enumerate(manifest.files.folders):
        if not _NAME.fullmatch(folder) or len(folder) > 64:
            yield Problem(
                f"files.folders[{i}]",
                f"expected lower-case letters and digits with single dashes, got {quoted(folder)}",
            )


def _problems_of_name(path: str, name: str) -> Iterator[Problem]:
    if not _IDENTIFIER.fullmatch(name):
        yield Problem(path, "expected a name of letters, digits, underscores and dashes")


def _problems_of_urls(path: str, urls: Iterable[str]) -> Iterator[Problem]:
    for url in urls:
        try:
            OriginPattern.parse(url)
        except ValueError as error:
            yield Problem(path, str(error))


def _problems_of_places(path: str, secret: SecretRequirement | ConfigField) -> Iterator[Problem]:
    kinds: tuple[PlaceKind, ...] = ("headers", "query", "json")
    for kind in kinds:
        for i, place in enumerate(getattr(secret, kind)):
            try:
                check_place(kind, place)
            except ValueError as error:
                yield Problem(f"{path}.{kind}[{i}]", str(error))


def _numbers(manifest: PluginManifest) -> Iterator[tuple[str, int]]:
    for part in ("sdk_version", "limits"):
        for name, value in to_document(getattr(manifest, part)).items():
            if value is not None:
                yield f"{part}.{name}", value


def check_version(manifest: PluginManifest) -> None:
    """The one version check. Raises `PluginVersionMismatchError`."""
    if not manifest.sdk_version.includes(SDK_VERSION):
        raise PluginVersionMismatchError(manifest.name, manifest.sdk_version, SDK_VERSION)
