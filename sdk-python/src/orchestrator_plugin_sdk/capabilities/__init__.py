"""What a plugin may reach: a folder each, with what a manifest asks for (`requirement.py`), what a
plugin's context has, and how a sandboxed plugin gets to it (`guest.py`). `registry.py` lists
them."""
