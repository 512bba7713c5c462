"""What the plugins of one host share in reaching things, and how each gets what it may reach."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx

from ..admission import AdmittedPlugin
from ..audit import AuditLog, PluginAudit
from ..component_file import ComponentFile
from ..config import check_config
from ..policy import FolderQuota
from ..settings import HostSettings
from .connections import QuietLogs
from .files import DataFolders, PluginFiles
from .http import PluginHttp
from .observing import Observations
from .reach import PluginReach
from .resolving import Resolver, system_resolver
from .secrets import bind


class SharedReach:
    """The audit, the data folders, the certificates of one host."""

    def __init__(
        self,
        settings: HostSettings,
        resolver: Resolver | None = None,
        observations: Observations | None = None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver or system_resolver
        self._observations = observations
        self._data_folders = DataFolders(settings.data_directory)
        self._quiet = QuietLogs()
        self._tls: ssl.SSLContext | None = None
        self._audit: AuditLog | None = None
        self._scratch: TemporaryDirectory[str] | None = None

    def open(self) -> None:
        """Begins. Raises `AuditError`."""
        if self._settings.audit_file is not None:
            self._audit = AuditLog(self._settings.audit_file)
        self._quiet.open()

    async def close(self) -> None:
        """Ends, once every plugin has. Raises `AuditError`."""
        self._quiet.close()
        audit, self._audit = self._audit, None
        scratch, self._scratch = self._scratch, None
        try:
            if audit is not None:
                await anyio.to_thread.run_sync(audit.close)
        finally:
            if scratch is not None:
                await anyio.to_thread.run_sync(scratch.cleanup)

    async def of(
        self, admitted: AdmittedPlugin, config: Mapping[str, Any]
    ) -> tuple[PluginReach, Mapping[str, Any]]:
        """What a plugin may reach, and its config with references in the place of secrets.

        Raises `PluginValidationError` for a config that does not fit, `PluginRefusedError`,
        `SecretError` or `FilesError`.
        """
        check_config(admitted.manifest, config)
        secrets, given = await anyio.to_thread.run_sync(
            bind, admitted.manifest, admitted.policy, config
        )
        source = admitted.source
        audit = PluginAudit(
            admitted.manifest.name,
            source.digest if isinstance(source, ComponentFile) else None,
            *(() if self._audit is None else (self._audit.write, self._audit.check)),
        )
        http = PluginHttp(
            admitted.manifest,
            admitted.policy,
            secrets,
            audit,
            self._resolver,
            self._trusted(),
            self._observations,
        )
        return PluginReach(admitted, http, await self._files(admitted), secrets, audit), given

    async def _files(self, admitted: AdmittedPlugin) -> PluginFiles:
        name, asked, granted = (
            admitted.manifest.name,
            admitted.manifest.files,
            admitted.policy.files,
        )
        note = None
        if self._observations is not None:
            asked = replace(asked, data=True, artifacts=True)
            everything = {"data": FolderQuota(), "artifacts": FolderQuota()}
            granted = granted.model_copy(update=everything)
            note = self._observations.note_root
        return await anyio.to_thread.run_sync(
            PluginFiles, name, asked, granted, self._data_folders, self._artifacts(), note
        )

    def _artifacts(self) -> Path:
        if self._settings.artifacts_directory is not None:
            return self._settings.artifacts_directory
        if self._scratch is None:
            self._scratch = TemporaryDirectory(prefix="orchestrator-plugins-")
        return Path(self._scratch.name)

    def _trusted(self) -> ssl.SSLContext:
        """The certificates of servers that plugins may trust, read once."""
        if self._tls is None:
            path = self._settings.ca_file
            self._tls = (
                httpx.create_ssl_context(trust_env=False)
                if path is None
                else ssl.create_default_context(cafile=str(path))
            )
        return self._tls
