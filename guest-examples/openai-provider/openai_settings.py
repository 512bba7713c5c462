"""The config, read and checked once, when the plugin is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator_plugin_sdk import ErrorKind, PluginCallError, PluginConfig

BASE_URL = "https://api.openai.com/v1"
MAX_TOKENS_FIELDS = ("max_tokens", "max_completion_tokens")
RESERVED = ("messages", "n", "stream", "stream_options")
"""Fields of a body that answers are read by."""


@dataclass(frozen=True)
class Settings:
    """As `plugin.toml` describes them."""

    base_url: str = BASE_URL
    model: str | None = None
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    max_tokens_field: str = "max_tokens"
    strict_schemas: bool = False
    stream_usage: bool = True
    vision: bool = False

    @property
    def url(self) -> str:
        """Where chat completions are."""
        return f"{self.base_url}/chat/completions"

    @property
    def server(self) -> str:
        """The server's name, for messages."""
        return self.base_url.partition("://")[2].partition("/")[0]


def read_settings(config: PluginConfig) -> Settings:
    """The settings of a config. That its values have their types, the manifest has seen to.

    Raises `PluginCallError`.
    """
    settings = Settings(**config)
    base_url = settings.base_url.rstrip("/")
    if not base_url.startswith(("http://", "https://")) or "?" in base_url or "#" in base_url:
        raise _invalid(f"base_url is like {BASE_URL}, without a query")
    if settings.max_tokens_field not in MAX_TOKENS_FIELDS:
        raise _invalid(f"max_tokens_field is {' or '.join(MAX_TOKENS_FIELDS)}")
    if not all(isinstance(value, str) for value in settings.headers.values()):
        raise _invalid("headers are texts")
    reserved = [name for name in RESERVED if name in settings.extra_body]
    if reserved:
        raise _invalid(f"extra_body can't have {', '.join(reserved)}")
    return Settings(**{**config, "base_url": base_url})


def _invalid(message: str) -> PluginCallError:
    return PluginCallError(ErrorKind.INVALID_REQUEST, f"config: {message}")
