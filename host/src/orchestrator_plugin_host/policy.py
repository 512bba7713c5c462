"""What the operator lets plugins reach, besides the host's own interfaces."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from orchestrator_plugin_sdk.origins import METHODS, OriginPattern
from orchestrator_plugin_sdk.secret_places import PlaceKind, check_place
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from .errors import PolicyError
from .limits import MIB, Limits, Positive

WasiLevel = Literal["none", "core", "core+filesystem"]

_CORE: Final = frozenset(
    {
        "wasi:cli/environment",
        "wasi:cli/exit",
        "wasi:cli/stderr",
        "wasi:cli/stdin",
        "wasi:cli/stdout",
        "wasi:cli/terminal-input",
        "wasi:cli/terminal-output",
        "wasi:cli/terminal-stderr",
        "wasi:cli/terminal-stdin",
        "wasi:cli/terminal-stdout",
        "wasi:clocks/monotonic-clock",
        "wasi:clocks/wall-clock",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
        "wasi:random/insecure",
        "wasi:random/insecure-seed",
        "wasi:random/random",
    }
)
_FILESYSTEM: Final = frozenset({"wasi:filesystem/preopens", "wasi:filesystem/types"})
WASI_INTERFACES: Final[Mapping[WasiLevel, frozenset[str]]] = {
    "none": frozenset(),
    "core": _CORE,
    "core+filesystem": _CORE | _FILESYSTEM,
}
"""The interfaces of each level. None has sockets or HTTP."""

_PLUGIN_NAME: Final = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
_WASI_NAME: Final = re.compile(r"(wasi:[a-z-]+/[a-z-]+)@0\.2\.[0-9]{1,3}")


def _origin(text: str) -> str:
    OriginPattern.parse(text)
    return text


OriginText = Annotated[str, AfterValidator(_origin)]
"""The text of an `OriginPattern`."""


def read_digest(text: str) -> str:
    """The hexadecimal digits of a SHA-256, in lower case. Raises `ValueError`."""
    plain = text.removeprefix("sha256:").lower()
    if not re.fullmatch("[0-9a-f]{64}", plain):
        raise ValueError("expected a SHA-256: 64 hexadecimal digits, as `inspect` shows them")
    return plain


Digest = Annotated[str, AfterValidator(read_digest)]
"""A SHA-256, with or without `sha256:` before it."""


def _place(kind: PlaceKind) -> Callable[[str], str]:
    def checked(place: str) -> str:
        check_place(kind, place)
        return place

    return checked


class HttpGrant(BaseModel):
    """Requests that a plugin may make, if its manifest asks for them, too."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    url: OriginText
    """Scheme, host and port: `https://api.example.com`, `https://*.example.com`."""
    methods: tuple[str, ...] = ("GET",)
    """The methods of such requests."""
    addresses: tuple[str, ...] = ()
    """Networks of loopback, private and other special addresses (`127.0.0.1`, `10.0.0.0/8`) that
    such a request may go to. Without any it may go to public addresses alone. A `url` that is an
    address grants that address by itself."""

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"expected methods of {', '.join(METHODS)}, got {method!r}")
        return methods

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ipaddress.ip_network(address)
        return addresses


class SecretGrant(BaseModel):
    """Where the value of a secret is: one of `env`, `file` and `keyring`; none of them for a field
    of the config that is marked as a secret, whose value comes with the config."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    env: str | None = None
    """An environment variable of the host."""
    file: Path | None = None
    """A file, whose content it is, without the newline at its end."""
    keyring: tuple[str, str] | None = None
    """Service and user name in the system's keyring."""
    urls: tuple[OriginText, ...] = ()
    """The origins it may go to, of those that the manifest names; without any, all of those. Needed
    where the manifest has a pattern with `*`."""
    headers: tuple[Annotated[str, AfterValidator(_place("headers"))], ...] = ()
    """Headers it may stand in, if the manifest names them, too, besides those that are made for
    credentials (`authorization`, `x-api-key` and the like)."""
    query: tuple[Annotated[str, AfterValidator(_place("query"))], ...] = ()
    """Parameters of a URL's query it may stand in, if the manifest names them, too."""
    json_pointers: tuple[Annotated[str, AfterValidator(_place("json"))], ...] = Field(
        default=(), alias="json"
    )
    """Values of a JSON body it may stand in, by their pointers (`/auth/key`), if the manifest names
    them, too."""

    @property
    def has_source(self) -> bool:
        """Whether it says where the value is."""
        return any(one is not None for one in (self.env, self.file, self.keyring))

    @field_validator("urls")
    @classmethod
    def _some(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if not urls:  # is it none of them, or all?
            raise ValueError("expected an origin; leave urls out for all that the manifest names")
        return urls

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(one is not None for one in (self.env, self.file, self.keyring)) > 1:
            raise ValueError("expected one of env, file and keyring")
        return self


class FolderQuota(BaseModel):
    """What a folder of a plugin's may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    bytes: Positive = 64 * MIB
    """Bytes of all its files together."""
    files: Positive = 1_000
    """Files and folders in it."""


_CALLS: Final = 16
"""Calls whose artifacts there is room for, if each makes as many as it may."""


class FilesGrant(BaseModel):
    """Files that a plugin may have, if its manifest asks for them, too."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    data: FolderQuota | None = None
    """A folder of the plugin's own, that is there again the next time."""
    artifacts: FolderQuota | None = None
    """A folder for each call, that its caller finds: what one of them may hold."""
    artifacts_total: FolderQuota | None = None
    """What those of all calls of a loaded plugin may hold together, until it is unloaded; without
    it, sixteen times `artifacts`."""
    folders: Mapping[str, Path] = Field(default_factory=dict)
    """Folders of the operator's, to be read, by the names that the manifest asks for."""

    def all_artifacts(self) -> FolderQuota | None:
        """What the artifacts of all calls may hold together; `None` if there are none."""
        if self.artifacts is None:
            return None
        return self.artifacts_total or FolderQuota(
            bytes=_CALLS * self.artifacts.bytes, files=_CALLS * self.artifacts.files
        )


class Policy(BaseModel):
    """What the operator grants to plugins. The default grants nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    wasi: WasiLevel = "none"
    """WASI 0.2 interfaces that a component may import.

    `core` is clocks, randomness, and standard streams that lead nowhere, with an empty environment
    and no arguments; `core+filesystem` adds the interfaces of files, with no folder granted. A
    guest can block in WASI, where fuel and epochs do not reach it: prefer the `process` tier.
    """
    http: tuple[HttpGrant, ...] = ()
    """Requests that may be made."""
    secrets: Mapping[str, SecretGrant] = Field(default_factory=dict)
    """Secrets, by the names that the manifest declares."""
    files: FilesGrant = Field(default_factory=FilesGrant)
    """Files that there are."""
    digest: Digest | None = None
    """The SHA-256 of the component that this is for, in hexadecimal: another is refused."""
    limits: Limits | None = None
    """Limits that take the place of the host's, those that are named."""

    @property
    def grants(self) -> tuple[str, ...]:
        """The kinds of things that it grants, of `http`, `secrets`, `files` and `wasi`."""
        granted = {
            "http": bool(self.http),
            "secrets": bool(self.secrets),
            "files": self.files != FilesGrant(),
            "wasi": self.wasi != "none",
        }
        return tuple(name for name, is_granted in granted.items() if is_granted)

    def of(self, plugin: str) -> Self:
        """The policy of a plugin: this one."""
        return self

    def admits(self, name: str) -> bool:
        """Whether a component may import this interface of WASI."""
        found = _WASI_NAME.fullmatch(name)
        return found is not None and found[1] in WASI_INTERFACES[self.wasi]

    def level_of(self, name: str) -> WasiLevel | None:
        """The lowest level that has this interface of WASI; none if no level has."""
        for level in WASI_INTERFACES:
            if Policy(wasi=level).admits(name):
                return level
        return None


class PolicyFile(BaseModel):
    """What a policy file says: a policy for each plugin by its name, and one for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    default: Policy = Field(default_factory=Policy)
    """For plugins that are not named."""
    plugins: Mapping[str, Policy] = Field(default_factory=dict)
    """By the name in the manifest. A component may call itself what it likes: `digest` says
    which one is meant."""

    @field_validator("plugins")
    @classmethod
    def _names(cls, plugins: Mapping[str, Policy]) -> Mapping[str, Policy]:
        for name in plugins:
            if not _PLUGIN_NAME.fullmatch(name):  # the default would hold instead, unnoticed
                raise ValueError(f"no plugin can have the name {name!r}: lower case and hyphens")
        return plugins

    def of(self, plugin: str) -> Policy:
        """The policy of a plugin."""
        return self.plugins.get(plugin, self.default)


def usual_variable(secret: str) -> str:
    """The environment variable that is suggested for a secret."""
    return secret.upper().replace("-", "_")


def read_policy(path: Path | str) -> PolicyFile:
    """Reads a policy file (TOML). Paths in it are relative to its folder.

    Raises `PolicyError`, which lists every fault; a key that is not known is one.
    """
    path = Path(path)
    try:
        import tomllib  # for those who have a policy in a file

        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"the policy {path} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"the policy {path} is not TOML: {error}") from None
    try:
        return _relative_to(path.parent.resolve(), PolicyFile.model_validate(document))
    except ValidationError as error:
        faults = [
            f"\n  - {'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise PolicyError(f"the policy {path} is not valid:{''.join(faults)}") from None


def _relative_to(folder: Path, read: PolicyFile) -> PolicyFile:
    def resolved(policy: Policy) -> Policy:
        changed: dict[str, Any] = {
            "secrets": {
                name: one
                if one.file is None
                else one.model_copy(update={"file": folder / one.file})
                for name, one in policy.secrets.items()
            },
            "files": policy.files.model_copy(
                update={
                    "folders": {name: folder / one for name, one in policy.files.folders.items()}
                }
            ),
        }
        return policy.model_copy(update=changed)

    plugins = {name: resolved(one) for name, one in read.plugins.items()}
    return PolicyFile(default=resolved(read.default), plugins=plugins)
