"""What plugins may reach, each capability in a folder of its own: HTTP, secrets, files.

A plugin gets what its manifest asks for and the operator's policy grants. Every decision is made
here, on the host's side, and is written to the audit.
"""
