"""Whether a policy says which file it is for, and how to make it say so.

Any file can say that it is the plugin of a name; only one file has a digest. A policy that grants
something and names no digest grants it to every file that claims the name.
"""

from __future__ import annotations

from .policy import Policy, PolicyFile


def digest_line(digest: str) -> str:
    """The line of a policy file that names a digest, which is in hexadecimal."""
    return f'digest = "sha256:{digest}"'


def pin_lines(plugin: str, digest: str) -> str:
    """The table of a policy file that names the digest of a plugin."""
    return f"[plugins.{plugin}]\n{digest_line(digest)}"


def unpinned_tables(policies: PolicyFile) -> dict[str, tuple[str, ...]]:
    """The tables of a policy file that grant something and name no digest, each with what it
    grants."""
    tables = {"default": policies.default} | {
        f"plugins.{name}": one for name, one in policies.plugins.items()
    }
    return {table: one.grants for table, one in tables.items() if one.grants and one.digest is None}


def how_to_pin(policies: Policy | PolicyFile, plugin: str, digest: str) -> str:
    """What to write where the policy of a plugin is, so that it is for this digest alone."""
    if isinstance(policies, Policy):
        return f'pass Policy(digest="sha256:{digest}", …)'
    table = f"  [plugins.{plugin}]\n  {digest_line(digest)}"
    if plugin in policies.plugins:
        return f"say in the policy\n{table}"
    return (
        f"say in the policy\n{table}\nand move there what [default] grants it: a plugin that is "
        "named gets nothing of [default]"
    )


def unpinned(
    policies: Policy | PolicyFile, plugin: str, digest: str | None, *, built: bool = True
) -> str | None:
    """What is to be told of a policy that grants a plugin something and names no digest, and what
    to do about it; None if there is nothing to tell.

    `digest` is that of the plugin's component, None for a native plugin and for a component that is
    not `built` yet.
    """
    policy = policies.of(plugin)
    if policy.digest is not None or not policy.grants:
        return None
    granted = ", ".join(policy.grants)
    if digest is None and built:
        return (
            f"plugin {plugin!r} is native, so that no digest says which code it is: its policy "
            f"grants {granted} to whatever has that name. To pin it, build it and load the "
            "component"
        )
    remedy = (
        "build it, and run `orchestrator-plugin policy pin`"
        if digest is None
        else how_to_pin(policies, plugin, digest)
    )
    return (
        f"plugin {plugin!r} is not pinned: its policy names no digest and grants {granted} to any "
        f"file that has that name. If it is meant for this file alone, {remedy}"
    )
