"""The tables `[secrets.NAME]` of a policy."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

from orchestrator_plugin_sdk.capabilities.secrets import PlaceKind, check_place
from pydantic import AfterValidator, Field, field_validator, model_validator

from ..grant import Grant, OriginText


def _place(kind: PlaceKind) -> Callable[[str], str]:
    def checked(place: str) -> str:
        check_place(kind, place)
        return place

    return checked


class SecretGrant(Grant):
    """Where the value of a secret is: one of `env`, `file` and `keyring`; none of them for a field
    of the config that is marked as a secret, whose value comes with the config."""

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

    def relative_to(self, folder: Path) -> Self:
        """As `Grant` says."""
        if self.file is None:
            return self
        return self.model_copy(update={"file": folder / self.file})

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


def usual_variable(secret: str) -> str:
    """The environment variable that is suggested for a secret."""
    return secret.upper().replace("-", "_")
