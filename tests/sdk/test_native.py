"""Loading a plugin that is Python in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from orchestrator_plugin_sdk import (
    PluginCallError,
    PluginContext,
    PluginExport,
    PluginType,
    PluginValidationError,
    PluginVersionMismatchError,
    SdkVersionRange,
    check_export,
    create_plugin,
    load_plugin,
    safe_load_plugin,
    to_document,
)
from orchestrator_plugin_sdk.contract import KINDS
from sdk.plugins import SMALL_PLUGINS, Small, SmallEmbedder, SmallProvider, small_manifest

pytestmark = pytest.mark.anyio


class Misnamed(SmallProvider):
    name = "other"


class Nameless(SmallProvider):
    name = None


class Versionless(SmallProvider):
    sdk_version = 1


class RefusingInit(SmallProvider):
    async def init(self, config: Any, ctx: PluginContext) -> None:
        raise PluginCallError("unauthenticated", "API key required")


class PlainInit(SmallProvider):
    """Its `init` is no coroutine."""

    def init(self, config: Any, ctx: PluginContext) -> None:
        self.initialised_with = (config, ctx)


class Duck:
    """A plugin by its methods alone."""

    def __init__(self, *missing: str) -> None:
        self.name = "small"
        self.sdk_version = SdkVersionRange(1)
        for operation in KINDS[PluginType.PROVIDER].operations:
            if operation.method not in missing:
                setattr(self, operation.method, lambda *_: None)


def failing() -> SmallProvider:
    raise RuntimeError("no model")


def export(create: Any = SmallProvider, **manifest: Any) -> PluginExport[Any]:
    return PluginExport(small_manifest(**manifest), create)


@pytest.mark.parametrize("type", PluginType)
async def test_a_plugin_of_each_kind_is_loaded(type: PluginType) -> None:
    context = PluginContext(run_id="run-123")
    plugin = await load_plugin(export(SMALL_PLUGINS[type], type=type), {"a": 1}, context)
    assert isinstance(plugin, KINDS[type].interface)
    assert plugin.initialised_with == ({"a": 1}, context)
    assert (await plugin.health_check()).healthy


async def test_without_config_and_context_a_plugin_gets_empty_ones() -> None:
    plugin = await load_plugin(export())
    config, context = plugin.initialised_with
    assert config == {}
    assert isinstance(context, PluginContext)


async def test_the_plugin_gets_a_copy_of_the_config() -> None:
    config = {"a": 1}
    plugin = await load_plugin(export(), config)
    assert plugin.initialised_with[0] is not config


async def test_a_manifest_may_be_a_mapping() -> None:
    manifest = to_document(small_manifest())
    assert (await load_plugin(PluginExport(manifest, SmallProvider))).name == "small"


async def test_init_may_be_a_plain_method() -> None:
    plugin = await load_plugin(export(PlainInit), {"a": 1})
    assert plugin.initialised_with[0] == {"a": 1}


async def test_a_plugin_need_not_inherit_its_interface() -> None:
    assert isinstance(await load_plugin(export(Duck)), Duck)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no export": (SmallProvider, PluginValidationError, "expected a PluginExport, got SmallPro"),
    "the class": (lambda: PluginExport, PluginValidationError, "expected a PluginExport, got type"),
    "a bad manifest": (lambda: export(name="A"), PluginValidationError, "name: expected lower"),
    "no manifest": (
        lambda: PluginExport(None, SmallProvider),  # type: ignore[arg-type]
        PluginValidationError,
        "expected a map, got NoneType",
    ),
    "another version": (
        lambda: export(sdk_version=SdkVersionRange(2)),
        PluginVersionMismatchError,
        "requires SDK version >= 2",
    ),
    "nothing to call": (
        lambda: export(create=SmallProvider()),
        PluginValidationError,
        "create_plugin: expected something to call",
    ),
    "failing to be made": (
        lambda: export(failing),
        PluginValidationError,
        "plugin 'small' could not be made: RuntimeError: no model",
    ),
    "an abstract class": (
        lambda: export(KINDS[PluginType.PROVIDER].interface),
        PluginValidationError,
        "could not be made: TypeError: Can't instantiate abstract class",
    ),
    "another name": (
        lambda: export(Misnamed),
        PluginValidationError,
        "name: the manifest says 'small', the plugin 'other'",
    ),
    "no name": (lambda: export(Nameless), PluginValidationError, "the plugin None"),
    "no version": (
        lambda: export(Versionless),
        PluginValidationError,
        "sdk_version: expected an SdkVersionRange on the plugin",
    ),
    "another kind": (
        lambda: export(SmallEmbedder),
        PluginValidationError,
        "capabilities: missing; a ProviderAdapterPlugin has it",
    ),
    "a method missing": (
        lambda: export(lambda: Duck("shutdown")),
        PluginValidationError,
        "shutdown: missing; a ProviderAdapterPlugin has it",
    ),
    "no plugin at all": (
        lambda: export(lambda: None),
        PluginValidationError,
        "name: the manifest says 'small', the plugin None",
    ),
    "refusing": (lambda: export(RefusingInit), PluginCallError, "unauthenticated: API key"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_not_loaded(case: str) -> None:
    make, error, says = REFUSED[case]
    with pytest.raises(error, match=says):
        await load_plugin(make())


@pytest.mark.parametrize("case", REFUSED)
async def test_the_safe_way_gives_the_same_error_in_its_result(case: str) -> None:
    make, error, says = REFUSED[case]
    result = await safe_load_plugin(make())
    assert not result.success
    assert result.plugin is None
    assert isinstance(result.error, error)
    assert says in str(result.error)
    without_manifest = ("no export", "the class", "a bad manifest", "no manifest")
    assert (result.manifest is None) is (case in without_manifest)


async def test_the_safe_way_to_a_plugin() -> None:
    result = await safe_load_plugin(export(), {"a": 1}, PluginContext("run"))
    assert result.success
    assert result.error is None
    assert result.manifest == small_manifest()
    assert isinstance(result.plugin, SmallProvider)
    assert result.plugin.initialised_with == ({"a": 1}, result.plugin.initialised_with[1])
    assert result.plugin.initialised_with[1].run_id == "run"


async def test_the_safe_way_does_not_catch_what_ends_the_program() -> None:
    def interrupted() -> Small:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await safe_load_plugin(export(interrupted))


def test_nothing_of_the_plugin_runs_before_its_manifest_is_checked() -> None:
    def never() -> Small:
        raise AssertionError

    assert check_export(export(never)) == small_manifest()
    with pytest.raises(PluginVersionMismatchError):
        check_export(export(never, sdk_version=SdkVersionRange(2)))


def test_every_fault_of_a_plugin_is_listed() -> None:
    with pytest.raises(PluginValidationError) as raised:
        create_plugin(export(object), small_manifest())
    methods = [operation.method for operation in KINDS[PluginType.PROVIDER].operations]
    assert [fault.path for fault in raised.value.problems] == ["name", "sdk_version", *methods]


def test_what_went_wrong_in_the_plugin_is_the_cause() -> None:
    with pytest.raises(PluginValidationError) as raised:
        create_plugin(export(failing), small_manifest())
    assert isinstance(raised.value.__cause__, RuntimeError)
