"""What the operator lets plugins reach, besides the host's own interfaces."""

from .file import read_policy
from .grants import FilesGrant, FolderQuota, HttpGrant, SecretGrant, usual_variable
from .model import Policy, PolicyFile, read_digest
from .wasi import WASI_INTERFACES, WasiLevel

__all__ = [
    "WASI_INTERFACES",
    "FilesGrant",
    "FolderQuota",
    "HttpGrant",
    "Policy",
    "PolicyFile",
    "SecretGrant",
    "WasiLevel",
    "read_digest",
    "read_policy",
    "usual_variable",
]
