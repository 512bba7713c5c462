"""What the plugins of one host share in reaching things, and how each gets what it may reach."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from orchestrator_plugin_sdk.manifest import FilesRequirement

from .pace import Turns
from .workers import Workers

if TYPE_CHECKING:
    import ssl
    from tempfile import TemporaryDirectory

    from orchestrator_plugin_sdk.manifest import PluginManifest

    from ..admission import AdmittedPlugin
    from ..audit import AuditLog, PluginAudit
    from ..policy import Policy
    from ..settings import HostSettings
    from .files import DataFolders, PluginFiles, Removals
    from .http.plugin import PluginHttp
    from .http.resolving import Resolver
    from .observing import Observations
    from .reach import PluginReach
    from .secrets.bound import Secrets


class SharedReach:
    """The audit, the data folders, the certificates of one host."""

    def __init__(
        self,
        settings: HostSettings,
        resolver: Resolver | None = None,
        observations: Observations | None = None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._observations = observations
        self._making = threading.Lock()
        self._data_folders: DataFolders | None = None
        self._removals: Removals | None = None
        self._turns = Turns()
        self._tls: ssl.SSLContext | None = None
        self._reading_tls = anyio.Lock()
        self._readers = Workers("orchestrator-plugin-certificates", 1)
        self._audit: AuditLog | None = None
        self._scratch: TemporaryDirectory[str] | None = None

    def open(self) -> None:
        """Begins, on the event loop that runs. Raises `AuditError`."""
        self._turns, self._reading_tls = Turns(), anyio.Lock()
        self._readers = Workers("orchestrator-plugin-certificates", 1)
        if self._settings.audit_file is not None:
            from ..audit import AuditLog

            self._audit = AuditLog(self._settings.audit_file)

    async def close(self) -> None:
        """Ends, once every plugin has. Raises `AuditError`."""
        audit, self._audit = self._audit, None
        scratch, self._scratch = self._scratch, None
        try:
            if audit is not None:
                await anyio.to_thread.run_sync(audit.close)
        finally:
            if self._removals is not None:
                if scratch is not None:
                    self._removals.add(partial(_clean, scratch), 1)
                await anyio.to_thread.run_sync(self._removals.close)

    async def of(
        self, admitted: AdmittedPlugin, config: Mapping[str, Any]
    ) -> tuple[PluginReach, Mapping[str, Any]]:
        """What a plugin may reach, and its config with references in the place of secrets.

        Raises `PluginValidationError` for a config that does not fit, `PluginRefusedError`,
        `SecretError` or `FilesError`.
        """
        # Here and below, so that importing the host does not import all of it.
        from ..audit import PluginAudit
        from ..config import check_config
        from .reach import PluginReach
        from .secrets.frames import forget_frames

        # What is kept: not the file's bytes.
        manifest, policy, digest = admitted.manifest, admitted.policy, admitted.digest
        check_config(manifest, config)
        try:
            secrets, given = await anyio.to_thread.run_sync(self._bind, manifest, policy, config)
        except BaseException as error:
            forget_frames(error)  # which have the values
            raise
        audit = PluginAudit(manifest.name, digest, policy.digest is not None, self._audit)
        reach = PluginReach(
            admitted,
            lambda: self._http(manifest, policy, secrets, audit),
            lambda: self._files(manifest, policy, digest),
            secrets,
            audit,
        )
        # Now, so that no call waits for it, and that what can't be opened is told. Native plugins
        # have a context with all of it.
        observed = self._observations is not None
        if manifest.http or observed:
            await anyio.to_thread.run_sync(_import_http)
            _ = reach.http
        if digest is None or observed or manifest.files != FilesRequirement():
            await anyio.to_thread.run_sync(lambda: (reach.files, reach.http))
        return reach, given

    def _bind(
        self, manifest: PluginManifest, policy: Policy, config: Mapping[str, Any]
    ) -> tuple[Secrets, Mapping[str, Any]]:
        if self._observations is None:
            from .secrets.binding import bind

            return bind(manifest, policy, config)
        from .secrets.stand_ins import bind_observed

        return bind_observed(self._observations, manifest, policy, config)

    def _http(
        self, manifest: PluginManifest, policy: Policy, secrets: Secrets, audit: PluginAudit
    ) -> PluginHttp:
        from .http.plugin import PluginHttp

        return PluginHttp(
            manifest,
            policy,
            secrets,
            audit,
            self._resolver,
            self._trusted,
            self._turns,
            self._observations,
        )

    def _files(self, manifest: PluginManifest, policy: Policy, digest: str | None) -> PluginFiles:
        from ..policy import FolderQuota
        from .files import PluginFiles, owner_of

        asked, granted = manifest.files, policy.files
        note = None
        if self._observations is not None:
            asked = replace(asked, data=True, artifacts=True)
            everything = {"data": FolderQuota(), "artifacts": FolderQuota()}
            granted = granted.model_copy(update=everything)
            note = self._observations.note_root
        folders, removals = self._of_files()
        return PluginFiles(
            manifest.name,
            owner_of(digest),
            asked,
            granted,
            folders,
            self._artifacts(),
            removals,
            note,
            keep_artifacts=self._settings.artifacts_directory is not None,
        )

    def _of_files(self) -> tuple[DataFolders, Removals]:
        """What the files of all plugins share, made for the first of them."""
        from .files import DataFolders, Removals

        with self._making:
            if self._data_folders is None:
                self._data_folders = DataFolders(self._settings.data_directory)
            if self._removals is None:
                self._removals = Removals()
            return self._data_folders, self._removals

    def _artifacts(self) -> Path:
        if self._settings.artifacts_directory is not None:
            return self._settings.artifacts_directory
        with self._making:
            if self._scratch is None:
                from tempfile import TemporaryDirectory

                self._scratch = TemporaryDirectory(prefix="orchestrator-plugins-")
            return Path(self._scratch.name)

    async def _trusted(self) -> ssl.SSLContext:
        """The certificates of servers that plugins may trust, read when the first is needed. Raises
        `WireError`."""
        async with self._reading_tls:
            if self._tls is None:
                self._tls = await self._readers.run(lambda go_on: _read_tls(self._settings.ca_file))
        return self._tls


def _clean(scratch: TemporaryDirectory[str]) -> None:
    with suppress(OSError):  # the system cleans up its temporary folder
        scratch.cleanup()


def _import_http() -> None:
    from .http import call, wire  # noqa: F401  # they are kept by the interpreter


def _read_tls(ca_file: Path | None) -> ssl.SSLContext:
    import ssl

    import certifi

    from .http.messages import WireError

    try:
        # Not `create_default_context`, which writes the keys of connections to the file that
        # SSLKEYLOGFILE names.
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(str(ca_file or certifi.where()))
    except (OSError, ssl.SSLError):
        raise WireError(
            "the host can't read the certificates that it is to trust (ca_file)",
            connecting=True,
            insecure=True,
        ) from None
    made.set_alpn_protocols(["http/1.1"])
    return made
