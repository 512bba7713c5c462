"""Policy files: TOML, read strictly, with paths that are relative to their folder."""

from pathlib import Path

from pydantic import ValidationError

from ..errors import PolicyError
from .model import PolicyFile


def read_policy(path: Path | str) -> PolicyFile:
    """Reads a policy file (TOML). Paths in it are relative to its folder.

    Raises `PolicyError`, which lists every fault; a key that is not known is one.
    """
    path = Path(path)
    try:
        import tomllib  # for those who have a policy in a file

        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"the policy {path} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"the policy {path} is not TOML: {error}") from None
    try:
        return _relative_to(path.parent.resolve(), PolicyFile.model_validate(document))
    except ValidationError as error:
        faults = [
            f"\n  - {'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise PolicyError(f"the policy {path} is not valid:{''.join(faults)}") from None


def _relative_to(folder: Path, read: PolicyFile) -> PolicyFile:
    plugins = {name: one.relative_to(folder) for name, one in read.plugins.items()}
    return PolicyFile(default=read.default.relative_to(folder), plugins=plugins)
