"""Files of plugins: a data folder of their own, an artifacts folder for each call, and folders of
the operator's, to be read. Each only if the manifest asks for it and the policy grants it.
"""

from .awaited import AwaitedFiles
from .data import DataFolders, data_folders, take_over
from .owners import NATIVE, owner_of
from .plugin import OpenFiles, PluginFiles
from .removals import Removals

__all__ = [
    "NATIVE",
    "AwaitedFiles",
    "DataFolders",
    "OpenFiles",
    "PluginFiles",
    "Removals",
    "data_folders",
    "owner_of",
    "take_over",
]
