"""Files for plugins: `ctx.files`."""

from .access import FileAccess, FileInfo, Files, NoFiles
from .requirement import FilesRequirement

__all__ = ["FileAccess", "FileInfo", "Files", "FilesRequirement", "NoFiles"]
