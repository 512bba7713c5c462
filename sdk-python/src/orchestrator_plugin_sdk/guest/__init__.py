"""The adapter that makes a plugin class the exports of a WIT world, under componentize-py.

Only a build uses it, and only inside a component can it be imported: it needs the bindings that
componentize-py generates from the contract. A plugin's own source never mentions it.
"""

from ._exports import export_plugin

__all__ = ["export_plugin"]
