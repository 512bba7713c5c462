"""What the operator lets plugins reach, besides the host's own interfaces."""

from ..capabilities.files.grant import FilesGrant, FolderQuota
from ..capabilities.http.grant import HttpGrant
from ..capabilities.kv.grant import KvGrant
from ..capabilities.secrets.grant import SecretGrant
from .file import read_policy
from .model import Policy, PolicyFile, read_digest
from .wasi import WASI_INTERFACES, WasiLevel

__all__ = [
    "WASI_INTERFACES",
    "FilesGrant",
    "FolderQuota",
    "HttpGrant",
    "KvGrant",
    "Policy",
    "PolicyFile",
    "SecretGrant",
    "WasiLevel",
    "read_digest",
    "read_policy",
]
