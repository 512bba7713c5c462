"""Damaged caches of compiled components: native code that the cache did not write is never given
to wasmtime, the component is compiled anew and works, and the cache is well afterwards."""

from __future__ import annotations

import hmac
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

from orchestrator_plugin_host import CacheError
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from orchestrator_plugin_sdk import PluginType, pack, unpack
from support.guests import Guest

from ..caching import CachedLoading
from ..target import BrokenPromiseError, Outcome, Target

_COMPONENTS: Final = tuple(
    Guest(kind).build() for kind in (PluginType.EMBEDDER, PluginType.TOOL_EXECUTOR)
)
_KEY: Final = "secret.key"
_MAC_BYTES: Final = 32

Damage = Callable[[Path, Path, Path, int], None]
"""Does something to an entry, another entry or the folder, with a number to go by."""


def _write(path: Path, data: bytes) -> None:
    """Over whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _flip(path: Path, other: Path, folder: Path, n: int) -> None:
    data = bytearray(_read(path))
    if data:
        data[n // 8 % len(data)] ^= 1 << n % 8
        _write(path, bytes(data))


def _flip_early(path: Path, other: Path, folder: Path, n: int) -> None:
    _flip(path, other, folder, n % (100 * 8))


def _truncate(path: Path, other: Path, folder: Path, n: int) -> None:
    data = _read(path)
    _write(path, data[: n % (len(data) + 1)])


def _short(path: Path, other: Path, folder: Path, n: int) -> None:
    _write(path, _read(path)[: n % 40])


def _append(path: Path, other: Path, folder: Path, n: int) -> None:
    _write(path, _read(path) + bytes(n % 9 + 1))


def _swap(path: Path, other: Path, folder: Path, n: int) -> None:
    mine, theirs = _read(path), _read(other)
    _write(path, theirs)
    _write(other, mine)


def _other_mac(path: Path, other: Path, folder: Path, n: int) -> None:
    _write(path, n.to_bytes(8, "little") * 4 + _read(path)[_MAC_BYTES:])


def _forge(path: Path, other: Path, folder: Path, n: int) -> None:
    """A MAC that is right but for the key, over code that is right or another's."""
    code = _read(other if n % 2 else path)[_MAC_BYTES:]
    key = n.to_bytes(8, "little") * 4
    _write(path, hmac.digest(key, path.name.encode() + b" " + code, "sha256") + code)


def _forge_without_name(path: Path, other: Path, folder: Path, n: int) -> None:
    code = _read(path)[_MAC_BYTES:]
    _write(path, hmac.digest(_read(folder / _KEY), code, "sha256") + code)


def _remove(path: Path, other: Path, folder: Path, n: int) -> None:
    if path.is_file():
        path.unlink()


def _link(path: Path, other: Path, folder: Path, n: int) -> None:
    targets = (other, folder, folder / "nothing", folder / _KEY, path)
    _write(path, b"")
    path.unlink()
    path.symlink_to(targets[n % len(targets)])


def _folder(path: Path, other: Path, folder: Path, n: int) -> None:
    _write(path, b"")
    path.unlink()
    path.mkdir()
    if n % 2:
        (path / "inside").write_bytes(b"x")


def _key_changed(path: Path, other: Path, folder: Path, n: int) -> None:
    changes: tuple[Damage, ...] = (_flip, _truncate, _append, _remove, _folder, _link)
    changes[n % len(changes)](folder / _KEY, path, folder, n // len(changes))


def _key_replaced(path: Path, other: Path, folder: Path, n: int) -> None:
    _write(folder / _KEY, n.to_bytes(8, "little") * 4)


def _open_to_others(path: Path, other: Path, folder: Path, n: int) -> None:
    shown = (folder, folder / _KEY, path)[n % 3]
    if shown.exists():
        shown.chmod(0o777)


def _litter(path: Path, other: Path, folder: Path, n: int) -> None:
    left = (".writing-abc", "junk.cwasm", "readme", "a folder.cwasm", ".writing-folder")[n % 5]
    if "folder" in left:
        (folder / left).mkdir(exist_ok=True)
    else:
        _write(folder / left, n.to_bytes(8, "little"))


_DAMAGES: Final[dict[str, Damage]] = {
    one.__name__: one
    for one in (
        _flip, _flip_early, _truncate, _short, _append, _swap, _other_mac, _forge,
        _forge_without_name, _remove, _link, _folder, _key_changed, _key_replaced,
        _open_to_others, _litter,
    )
}  # fmt: skip


class Compiled(Target):
    """Folders of compiled components with something done to them."""

    name: ClassVar[str] = "compiled"
    seconds: ClassVar[float] = 30.0
    batch: ClassVar[int] = 1_000
    stages: ClassVar[tuple[str, ...]] = ("refused", "compiled", "loaded")

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        self._loading = CachedLoading()
        self._whole = scratch / "whole"
        for data in _COMPONENTS:
            self._loading.load(data, self._whole)
        self._codes = [self._loading.stored(data, self._whole) for data in _COMPONENTS]
        assert all(self._codes), "the cache keeps nothing"

    def make(self, chance: random.Random) -> bytes:
        """What to do to which entry, one thing after another."""
        return pack(
            [
                [chance.choice([*_DAMAGES]), chance.randrange(2), chance.getrandbits(48)]
                for _ in range(chance.choice((1, 1, 1, 2, 3)))
            ]
        )

    def run(self, data: bytes) -> Outcome:
        """Looks at what the damaged folder gives, then loads with it, then looks again."""
        damages = unpack(data)
        looked = self._damaged("looked-at", damages)
        loaded = self._damaged("loaded-with", damages)
        try:
            given = [self._look(looked, number) for number in range(len(_COMPONENTS))]
            for component in _COMPONENTS:
                if not self._loading.is_well(self._loading.load(component, loaded)):
                    raise BrokenPromiseError("a component loaded with a damaged cache is not well")
        except CacheError:
            return Outcome("refused", "CacheError")
        self._check_afterwards(loaded)
        return Outcome("loaded" if all(given) else "compiled", "works")

    def _damaged(self, name: str, damages: list[Any]) -> Path:
        folder = self.scratch / name
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self._whole, folder)
        folder.chmod(0o700)
        paths = sorted(folder.glob("*.cwasm"))
        for damage, entry, number in damages:
            _DAMAGES[damage](paths[entry], paths[1 - entry], folder, number)
        return folder

    def _look(self, folder: Path, number: int) -> bool:
        """Whether the cache gives a component's code. It may be no other than what was stored."""
        given = self._loading.stored(_COMPONENTS[number], folder)
        if given is not None and given != self._codes[number]:
            raise BrokenPromiseError("the cache gave code that it did not store")
        return given is not None

    def _check_afterwards(self, folder: Path) -> None:
        for component in _COMPONENTS:
            stored = self._loading.stored(component, folder)
            if stored is None and not any(path.is_dir() for path in folder.glob("*.cwasm")):
                raise BrokenPromiseError("what was compiled anew is not in the cache")
            if not self._loading.is_well(self._loading.load(component, folder)):
                raise BrokenPromiseError("a component loaded a second time is not well")
        cache = ComponentCache(folder)
        cache.entries()
        cache.clear()
        if any(one.path.is_file() for one in cache.entries()):
            raise BrokenPromiseError("a cleared cache has entries")

    def close(self) -> None:
        """Frees the engine."""
        self._loading.close()
