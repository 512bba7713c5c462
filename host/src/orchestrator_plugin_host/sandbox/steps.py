"""How far a guest got: what every side of the boundary speaks, in this process and to a worker's.

A guest runs until it is done, asks for something, or has used up a slice of fuel:

    step = guest.start(interface, function, arguments)     Done | Asked | YIELDED, or raises
    step = guest.proceed()                                 after YIELDED, or
    guest.answer(value); step = guest.proceed()            after Asked
    guest.close()                                          at any time between two steps
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Done:
    """The guest returned. `value` is as the table in `values` says."""

    value: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """The guest called an import, and waits. `interface` is its short name (`log`)."""

    interface: str
    function: str
    arguments: list[Any]


class Yielded:
    """The guest used up a slice of fuel, and would go on."""


YIELDED: Final = Yielded()

Step = Done | Asked | Yielded
