"""The one door: what is loaded went through here, native and sandboxed alike, before any of it ran.

Pure: reads bytes and values, decides, does nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from orchestrator_plugin_sdk.contract import KINDS, Kind
from orchestrator_plugin_sdk.manifest import PluginManifest, check_version, validate_manifest
from orchestrator_plugin_sdk.native import check_export
from orchestrator_plugin_sdk.plugin import PluginExport

from .component_file import ComponentFile, read_component
from .errors import ComponentTooLargeError, InvalidComponentError, PluginRefusedError
from .limits import UNITS, Limits, effective_limits
from .pinning import how_to_pin, unpinned
from .policy import Policy, PolicyFile
from .wit import World, full_name, read_contract

_MAX_SHOWN: Final = 200
_MAX_LISTED: Final = 10
# Every component made by componentize-py exports this besides its world. Never called.
_HARMLESS_EXPORTS = frozenset({"exports"})


@dataclass(frozen=True, slots=True)
class AdmittedPlugin:
    """A plugin that may be loaded: its manifest, checked, and the limits and the policy that hold
    for it.

    Only this module makes one; the backends take nothing else. `source` is the export of a native
    plugin, or the file of a component.
    """

    manifest: PluginManifest
    kind: Kind
    limits: Limits
    policy: Policy
    source: PluginExport[Any] | ComponentFile

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the component, in hexadecimal; None for a native plugin."""
        return self.source.digest if isinstance(self.source, ComponentFile) else None


Policies = Policy | PolicyFile
"""One policy for all plugins, or one for each."""


def admit_export(
    export: PluginExport[Any],
    limits: Limits,
    policies: Policies | None = None,
    *,
    require_digest: bool = False,
) -> AdmittedPlugin:
    """Admits a native plugin. Without `policies` nothing is granted. It has no digest: with
    `require_digest` it is refused if its policy grants anything.

    Raises `PluginValidationError`, `PluginVersionMismatchError` or `PluginRefusedError`.
    """
    manifest = check_export(export)
    policies = policies or Policy()
    policy = policies.of(manifest.name)
    if policy.digest is not None:
        raise PluginRefusedError(
            f"the policy for plugin {manifest.name!r} is for the component {policy.digest}; this "
            "is a native plugin: remove digest from its policy, or load the component"
        )
    if require_digest:
        _check_pinned(policies, manifest.name, None)
    limits = effective_limits(limits_of(policy, limits), manifest)
    return AdmittedPlugin(manifest, KINDS[manifest.type], limits, policy, export)


def limits_of(policy: Policy, limits: Limits) -> Limits:
    """The operator's limits, with those of a policy in their place."""
    given = policy.limits
    if given is None:
        return limits
    return limits.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


def admit_component(
    data: bytes, limits: Limits, policies: Policies, *, require_digest: bool = False
) -> AdmittedPlugin:
    """Admits a component by its bytes, as far as can be told without compiling it. With
    `require_digest` it is refused if its policy grants anything and names no digest.

    The backend compares its types once it is compiled, before it runs. Raises
    `InvalidComponentError`, `PluginValidationError`, `PluginVersionMismatchError`,
    `PluginRefusedError` or `ComponentTooLargeError`.
    """
    if len(data) > limits.component_bytes:
        raise ComponentTooLargeError(
            "(not read yet)",
            "component_bytes",
            limits.component_bytes,
            UNITS["component_bytes"],
            f"is a file of {len(data):,} bytes",
        )
    file = read_component(data)
    manifest = validate_manifest(file.manifest_document)
    check_version(manifest)
    kind = KINDS[manifest.type]
    policy = policies.of(manifest.name)
    if policy.digest is not None and policy.digest != file.digest:
        raise PluginRefusedError(
            f"the policy for plugin {manifest.name!r} is for the component {policy.digest}, this "
            f"is {file.digest}: it is another plugin, or another version of it. If you trust it, "
            f"{how_to_pin(policies, manifest.name, file.digest)}"
        )
    if require_digest:
        _check_pinned(policies, manifest.name, file.digest)
    limits = limits_of(policy, limits)
    effective = effective_limits(limits, manifest)
    _check_contents(file, manifest, limits)
    check_names(file, manifest, world_of(kind), policy)
    return AdmittedPlugin(manifest, kind, effective, policy, file)


def world_of(kind: Kind) -> World:
    """The WIT world of a kind of plugin."""
    return read_contract().worlds[kind.world]


def _check_pinned(policies: Policies, plugin: str, digest: str | None) -> None:
    told = unpinned(policies, plugin, digest)
    if told is not None:
        raise PluginRefusedError(
            f"{told}\nIt is refused because this host has HostSettings(require_digest=True)"
        )


def _check_contents(file: ComponentFile, manifest: PluginManifest, limits: Limits) -> None:
    for name in ("modules", "functions", "data_segments"):
        found, allowed = getattr(file.contents, name), getattr(limits, name)
        if found > allowed:
            raise ComponentTooLargeError(
                manifest.name, name, allowed, UNITS[name], f"has {found:,} {UNITS[name]}"
            )


def wasi_imports(file: ComponentFile) -> frozenset[str]:
    """The interfaces of WASI that a component imports."""
    return frozenset(name for name, _ in file.imports if name.startswith("wasi:"))


def check_names(
    file: ComponentFile, manifest: PluginManifest, world: World, policy: Policy
) -> None:
    """Raises `InvalidComponentError` unless the names a component imports and exports are those
    of its world, or of WASI where the policy grants it."""
    allowed = {*world.imports, full_name("types")}
    for name, sort in file.imports:
        if (name not in allowed and not policy.admits(name)) or sort != "instance":
            raise InvalidComponentError(
                f"plugin {manifest.name!r} imports {_cut(name)!r}, which this host does not give "
                f"to a {manifest.type} plugin. {_import_remedy(name, policy)}"
            )
    exported = dict(file.exports)
    missing = world.exports.keys() - exported.keys()
    if missing:
        raise InvalidComponentError(
            f"plugin {manifest.name!r} is of another world than its manifest says: type = "
            f"{manifest.type.value!r} is the world {world.name!r}, which exports "
            f"{', '.join(sorted(missing))}; the component exports {_listed(exported)}"
        )
    for name, sort in file.exports:
        if (name not in world.exports and name not in _HARMLESS_EXPORTS) or sort != "instance":
            raise InvalidComponentError(
                f"plugin {manifest.name!r} exports {_cut(name)!r}, which is not in the world "
                f"{world.name!r}: remove it from the plugin's world"
            )


def _cut(name: str) -> str:
    """A name that a component chose, as an error repeats it."""
    return name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(map(_cut, sorted(names)[:_MAX_LISTED]))
    more = len(names) - _MAX_LISTED
    return (f"{shown} and {more:,} more" if more > 0 else shown) or "nothing"


def _import_remedy(name: str, policy: Policy) -> str:
    level = policy.level_of(name)
    if level is not None and not policy.admits(name):
        return (
            f"The policy says wasi = {policy.wasi!r}: grant it with Policy(wasi={level!r}), or "
            "take time, randomness and logging from the interfaces of orchestrator:plugin, and "
            "build with WASI stubbed out (componentize-py --stub-wasi)"
        )
    if name.startswith("wasi:"):
        return (
            "No policy grants it: take time, randomness and logging from the interfaces of "
            "orchestrator:plugin, and build with WASI stubbed out (componentize-py --stub-wasi)"
        )
    return "The interfaces that plugins may import are those of the package orchestrator:plugin"
