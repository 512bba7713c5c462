"""What can be granted: requests, secrets, files."""

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from orchestrator_plugin_sdk.origins import METHODS, OriginPattern
from orchestrator_plugin_sdk.secret_places import PlaceKind, check_place
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from ..limits import MIB, Positive


def _origin(text: str) -> str:
    OriginPattern.parse(text)
    return text


OriginText = Annotated[str, AfterValidator(_origin)]
"""The text of an `OriginPattern`."""


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


def usual_variable(secret: str) -> str:
    """The environment variable that is suggested for a secret."""
    return secret.upper().replace("-", "_")
