"""What a folder may hold, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ...policy import FolderQuota


@dataclass(slots=True)
class Usage:
    """What a folder holds: `bytes`, the sizes of all files, holes included; `files`, how many files
    and folders there are in it."""

    bytes: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """What a plugin's folder may hold. `root` is `data` or `artifacts`."""

    plugin: str
    root: str
    most: FolderQuota

    def check(self, used: Usage, *, bytes: int = 0, files: int = 0) -> None:
        """Raises `PluginCallError` of the kind `permission-denied` if this much more is too
        much."""
        for unit, more, now, most in (
            ("bytes", bytes, used.bytes, self.most.bytes),
            ("files", files, used.files, self.most.files),
        ):
            if more > 0 and now + more > most:
                what = "bytes" if unit == "bytes" else "files and folders"
                raise PluginCallError(
                    ErrorKind.PERMISSION_DENIED,
                    f"plugin {self.plugin!r} may have {most:,} {what} in {self.root}/, has "
                    f"{now:,}, and wanted {more:,} more; nothing was written. Remove something, "
                    f"or raise it in the policy:\n  [plugins.{self.plugin}.files]\n"
                    f"  {self.root} = {{ {unit} = … }}",
                )
