"""Cases as they are written: `case.toml`, checked before anything of it runs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from orchestrator_plugin_sdk.naming import PluginType
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..limits import MIB, Limits, Positive
from ..policy import Policy, WasiLevel
from ..settings import PoolSettings, Tier
from .server import Sent

TIERS: Final[tuple[Tier, ...]] = ("in-process", "process")
Operation = Literal[
    "load",
    "health_check",
    "shutdown",
    "generate",
    "stream",
    "embed_texts",
    "upsert",
    "query",
    "info",
    "execute",
    "is_allowed",
]

CORPUS: Final = Path(__file__).parent / "corpus"
_LIMITS: Final[dict[str, Any]] = {"memory_bytes": 64 * MIB, "deadline_ms": 5_000}
_PEAK_MB: Final = 200
_LEFT_MB: Final = 32
_GAP_MS: Final = 60
_NEIGHBOUR_MS: Final = 250
_PORT: Final = 10_000


class CaseError(Exception):
    """A case is not written as it should be. The message says where and why."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(_Model):
    """What a step should come to: an error by its class's name, or an answer."""

    error: str | None = None
    """The name of the error's class, exactly."""
    limit: str | None = None
    """Of a `LimitExceededError`: which."""
    trap: str | None = None
    """Of a `PluginTrapError`: how."""
    kind: str | None = None
    """Of a `PluginCallError`: what the plugin said."""
    says: str | None = None
    """A part of the error's message."""
    answer: Any = None
    """Keys of the answer and their values, or the whole of an answer that is no document."""
    timed: bool = True
    """Whether what a deadline ends counts as overshot by the time beyond it. Not where other things
    come before the call that the deadline is of."""
    events: int | None = None
    """How many events a stream gave before it ended, well or not."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        about_error = (self.limit, self.trap, self.kind, self.says)
        if self.error is None and any(one is not None for one in about_error):
            raise ValueError("limit, trap, kind and says are of an error: name its class")
        if self.error is not None and self.answer is not None:
            raise ValueError("a step has an error or an answer, not both")
        return self


class Step(Expected):
    """One thing that the host is asked to do, and what should come of it."""

    do: Operation
    """What is called. `load` is what happens to every plugin first; as a step, it is done again."""
    plugin: str | None = None
    """Which of the case's plugins; without it, the first."""
    times: Positive = 1
    """How often, one after the other; each time with the same outcome."""
    together: Positive = 1
    """How often at once."""
    request_bytes: Positive | None = None
    """How long the message is that `generate` and `stream` are given, or the command that
    `execute` and `is_allowed` are. Without it, a word."""
    tool_policy: dict[str, Any] = Field(default_factory=lambda: {"enabled": True})
    """The tool policy that `execute` and `is_allowed` are given. Without it, all is allowed."""
    take: Annotated[int, Field(ge=0)] | None = None
    """Of a stream: how many events to take before it is left. Without it, all."""


class Load(Expected):
    """What should become of the loading of a case's plugins."""

    def step(self, plugin: str) -> Step:
        """This as a step."""
        return Step(do="load", plugin=plugin, **self.model_dump(exclude_unset=True))


class Bounds(_Model):
    """What a case may cost the host. Times are generous, so that a busy machine fails no case: what
    they really are is in the report."""

    peak_mb: Positive | None = None
    """Megabytes that the host's process may grow by, at any moment; without it, the plugin's memory
    and 200. On the tier `in-process`, `guest_mb` more."""
    guest_mb: Annotated[int, Field(ge=0)] = 0
    """Megabytes of its memories that the guest touches: its own, and those of its adapters."""
    left_mb: Positive = _LEFT_MB
    """Megabytes that it may be larger by when the case's plugins have been shut down."""
    gap_ms: Positive = _GAP_MS
    """Milliseconds that the event loop may be held at once (`Gaps.held_ms`)."""
    neighbour_ms: Positive = _NEIGHBOUR_MS
    """Milliseconds that a call of the neighbour may take, or getting a thread of everyone's."""
    overshoot_ms: Positive | None = None
    """Milliseconds past its deadline that a step may end."""


class Piece(_Model):
    """Bytes of a file, repeated."""

    hex: Annotated[str, Field(pattern="^( *[0-9a-f]{2})* *$")]
    """The bytes in hexadecimal; spaces between them do not matter."""
    times: Positive = 1

    def data(self) -> bytes:
        """All of them."""
        return bytes.fromhex(self.hex) * self.times


class CaseFile(_Model):
    """What is in a `case.toml`."""

    about: Annotated[str, Field(min_length=10, max_length=160)]
    """What the guest tries, in a sentence."""
    kind: PluginType = PluginType.PROVIDER
    form: Literal["component", "without manifest", "text", "binary"] = "component"
    """How the file that is loaded is made of the text: assembled, with a manifest in it; without
    one; not assembled at all; or of no text, but of `bytes` alone."""
    bytes: tuple[Piece, ...] = ()
    """What comes after that in the file."""
    plugins: Annotated[tuple[str, ...], Field(min_length=1)] = ("guest",)
    """The case's guests: `guest` is written in `guest.wat`."""
    manifest: dict[str, Any] = Field(default_factory=dict)
    """Fields of the manifest that are not the usual."""
    wasi: WasiLevel = "none"
    """What the operator's policy gives of WASI."""
    process_only: bool = False
    """Whether the guest runs on the tier `process` alone, as those that import WASI do: on the
    other it is refused when it is loaded, and nothing else is played."""
    policy: Policy = Field(default_factory=Policy)
    """What else the operator's policy gives."""
    imports: frozenset[Literal["http", "files"]] = frozenset()
    """Interfaces that the guest imports besides those that every skeleton has."""
    server: tuple[Sent, ...] = ()
    """What a server on loopback sends. `{{port}}`, here and in the guest, is its port."""
    neighbour: bool = False
    """Whether another plugin is called all the time while the steps are played."""
    limits: Limits = Field(default_factory=lambda: Limits(**_LIMITS))
    pool: PoolSettings = Field(default_factory=PoolSettings)
    init_deadline_ms: Positive = 10_000
    load: Load = Field(default_factory=Load)
    steps: tuple[Step, ...] = ()
    bounds: Bounds = Field(default_factory=Bounds)

    @model_validator(mode="before")
    @classmethod
    def _fill_limits(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("limits", {}), dict):
            return data | {"limits": _LIMITS | data.get("limits", {})}
        return data

    @model_validator(mode="after")
    def _bytes_make_sense(self) -> Self:
        if self.form == "binary" and not self.bytes:
            raise ValueError("a binary file is made of bytes, and there are none")
        return self

    @model_validator(mode="after")
    def _steps_make_sense(self) -> Self:
        for step in self.steps:
            if step.plugin is not None and step.plugin not in self.plugins:
                raise ValueError(f"a step is of {step.plugin!r}, which is none of the plugins")
        if not self.steps and self.load.error is None:
            raise ValueError("nothing is done: a case has steps, or a load that fails")
        return self


class Case(CaseFile):
    """A case: its file, and where it lies."""

    family: str
    name: str
    folder: Path
    port: int
    """The port of the case's server, if it has one."""

    @property
    def id(self) -> str:
        """`family/name`."""
        return f"{self.family}/{self.name}"

    def played(self, tier: Tier) -> tuple[Step, ...]:
        """The steps that are played on a tier, beginning with the loading of the plugins."""
        if self.process_only and tier == "in-process":
            refused = Load(error="PluginRefusedError", says="load it with tier='process'")
            return tuple(map(refused.step, self.plugins))
        return (*map(self.load.step, self.plugins), *self.steps)

    def peak_mb(self, tier: Tier) -> int:
        """How many megabytes the host's process may grow by at any moment, on a tier."""
        at_most = self.bounds.peak_mb or self.limits.memory_bytes // MIB + _PEAK_MB
        return at_most + (self.bounds.guest_mb if tier == "in-process" else 0)


def read_case(folder: Path, port: int = _PORT) -> Case:
    """The case in a folder, whose server, if it has one, is at a port of five digits.

    Raises `CaseError`.
    """
    file = folder / "case.toml"
    where = f"{folder.parent.name}/{folder.name}"
    try:
        found = tomllib.loads(file.read_text("utf-8").replace("{{port}}", str(port)))
        checked = CaseFile.model_validate(found)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CaseError(f"{where}: {error}") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'case.toml'}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise CaseError(f"{where}: {faults}") from None
    own = {name: getattr(checked, name) for name in CaseFile.model_fields}
    return Case(**own, family=folder.parent.name, name=folder.name, folder=folder, port=port)


def read_corpus(corpus: Path = CORPUS) -> tuple[Case, ...]:
    """All cases, by family and name. Raises `CaseError`."""
    return tuple(map(read_case, case_folders(corpus)))


def case_folders(corpus: Path = CORPUS) -> Iterator[Path]:
    """The folders of the cases."""
    for family in sorted((corpus / "cases").iterdir()):
        if family.is_dir():
            yield from (one for one in sorted(family.iterdir()) if one.is_dir())
