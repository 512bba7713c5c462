"""The host's own configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, Limits, PoolSettings
from pydantic import BaseModel, ValidationError


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (PoolSettings, {"instances": 0}),
        (PoolSettings, {"instances": -1}),
        (PoolSettings, {"instances": "4"}),
        (PoolSettings, {"instances": True}),
        (PoolSettings, {"idle": -1}),
        (PoolSettings, {"idle": 1.0}),
        (PoolSettings, {"spare": 1}),
        (HostSettings, {"init_deadline_ms": 0}),
        (HostSettings, {"limits": {"fuel": 0}}),
        (HostSettings, {"cache": "/tmp"}),
    ],
)
def test_settings_that_make_no_sense(model: type[BaseModel], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model(**values)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PoolSettings().idle = 1
    with pytest.raises(ValidationError, match="frozen"):
        HostSettings().limits = Limits()


def test_settings_from_a_mapping() -> None:
    settings = HostSettings.model_validate({"limits": {"fuel": 5}, "pool": {"idle": 0}})
    assert settings.limits == Limits(fuel=5)
    assert settings.pool == PoolSettings(idle=0)


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PLUGIN_CACHE", str(tmp_path))
    assert HostSettings().cache_directory == tmp_path
    assert HostSettings(cache_directory=Path("here")).cache_directory == Path("here")


@pytest.mark.parametrize("empty", [True, False])
def test_or_in_the_users_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty: bool
) -> None:
    if empty:
        monkeypatch.setenv("ORCHESTRATOR_PLUGIN_CACHE", "")
    else:
        monkeypatch.delenv("ORCHESTRATOR_PLUGIN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    directory = HostSettings().cache_directory
    assert directory.is_absolute()
    assert directory.name == "components"
    assert directory.parent.name == "orchestrator-plugins"
