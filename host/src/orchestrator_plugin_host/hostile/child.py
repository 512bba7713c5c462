"""Runs one case in this process, with a host in it, and writes a report.

The process is there to be ended by whatever the case does to it. `forking` starts it for `runner`,
which has planted a secret in its environment and on its stdin, and looks at its stdout afterwards.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

import anyio
from orchestrator_plugin_sdk.errors import PluginError

from ..handles import LoadedPlugin, LoadedProvider
from ..host import PluginHost
from ..limits import Limits
from ..settings import HostSettings, Tier
from .building import build, build_good
from .cases import Case, Step
from .heartbeat import BEAT_SECONDS, Gaps, Heartbeat
from .memory import forget_peak, peak_mb, resident_mb, workers_peak_mb
from .neighbour import calling
from .report import Report, StepReport
from .steps import Clock, arguments_of, judge, perform

_GOOD_SECONDS: Final = 10
"""What a good plugin may take to be served: ages, unless the host is stuck."""
_SETTLING_SECONDS: Final = 2


class _Run:
    """A case under way."""

    def __init__(self, case: Case, tier: Tier, folder: Path, cache: Path) -> None:
        self._case = case
        self._tier: Tier = tier
        self._folder = folder
        self._settings = HostSettings(
            limits=case.limits,
            pool=case.pool,
            cache_directory=cache,
            init_deadline_ms=case.init_deadline_ms,
            tier=tier,
            policy=case.policy.model_copy(update={"wasi": case.wasi}),
            data_directory=folder / "data",
        )
        self._heart = Heartbeat()
        self._before = 0.0
        self._plugins: dict[str, LoadedPlugin] = {}
        self.report = Report()

    async def run(self) -> None:
        """Plays the case, beside a good plugin and before another one."""
        (self._folder / "good.wasm").write_bytes(build_good())
        for plugin in self._case.plugins:
            (self._folder / f"{plugin}.wasm").write_bytes(build(self._case, plugin))
        host = PluginHost(self._settings)
        async with self._heart.beating(), host:
            good = await self._good_beside(host)
            self.report.starting_ms = self._heart.gaps.held_ms
            with self._heart.paused():
                self._heart.gaps = Gaps()
                self._before = resident_mb()
                forget_peak()
            async with AsyncExitStack() as meanwhile:
                if self._case.neighbour and good is not None:
                    await meanwhile.enter_async_context(
                        calling(good, self._heart.clock, self.report)
                    )
                await self._play(host, good)
            with self._heart.paused():
                self._note_peak()
            self.report.left_mb = await self._left()
            if good is not None:
                await self._serve(good, "after the case")
            await self._serve(await self._load_good(host, self._tier), "loaded after the case")
            self._heart.doing = "the host's end"
            clock = Clock()
            await host.close()
            self.report.closing_ms = clock.milliseconds()
        self.report.heartbeat = self._heart.gaps
        self.report.worker_peak_mb = round(workers_peak_mb(), 1)

    async def _play(self, host: PluginHost, good: LoadedProvider | None) -> None:
        """Loads the case's plugins, plays the steps, and parts with the plugins."""
        for step in self._case.played(self._tier):
            await self._step(host, step)
        if good is not None:
            await self._serve(good, "beside the case's plugins")
        self._heart.doing = "the plugins' end"
        await self._part_with_plugins()

    async def _good_beside(self, host: PluginHost) -> LoadedProvider | None:
        """Has a good plugin served, so that the case does not wait for what a host does once, and
        returns one that is served beside the case's.

        On the tier `process` it has a worker of its own, which takes a while to start: there, only
        if the case has a neighbour. What is loaded after the case says more.
        """
        good = await self._load_good(host, "in-process")
        await self._serve(good, "before the case")
        if self._tier == "in-process":
            return good
        await good.shutdown()
        if not self._case.neighbour:
            return None
        good = await self._load_good(host, self._tier)
        await self._serve(good, "before the case")
        return good

    async def _load_good(self, host: PluginHost, tier: Tier) -> LoadedProvider:
        # Not within the limits of the case, which may be tight.
        path = self._folder / "good.wasm"
        host.settings = self._settings.model_copy(update={"init_deadline_ms": _GOOD_SECONDS * 1000})
        try:
            return await host.load(path, expect=LoadedProvider, limits=Limits(), tier=tier)
        finally:
            host.settings = self._settings

    async def _left(self) -> float:
        """How much larger the process stays. What a guest has that can't be stopped is freed when
        it comes back by itself: a moment is given for that."""
        ends = time.monotonic() + _SETTLING_SECONDS
        while True:
            with self._heart.paused():
                left = resident_mb() - self._before
            if left <= self._case.bounds.left_mb or time.monotonic() > ends:
                return round(left, 1)
            await anyio.sleep(0.05)

    def _note_peak(self) -> None:
        grown = round(peak_mb() - self._before, 1)
        self.report.peak_mb = max(self.report.peak_mb, grown)

    async def _part_with_plugins(self) -> None:
        clock = Clock()
        while self._plugins:
            _, plugin = self._plugins.popitem()
            # The plugin's farewell may fail, as any call of it may.
            with suppress(PluginError):
                await plugin.shutdown()
        self.report.farewell_ms = clock.milliseconds()

    async def _step(self, host: PluginHost, step: Step) -> None:
        """Plays a step, and notes the first time that it went wrong, or the slowest."""
        self._heart.doing = step.do
        try:
            await self._times(host, step)
        finally:
            await anyio.sleep(2 * BEAT_SECONDS)  # what it held the event loop for is its own

    async def _times(self, host: PluginHost, step: Step) -> None:
        slowest: StepReport | None = None
        for _ in range(step.times):
            one = await self._once(host, step)
            if one.problems:
                self._note(one)
                return
            if slowest is None or one.milliseconds > slowest.milliseconds:
                slowest = one
        if slowest is not None:
            self._note(slowest)

    async def _once(self, host: PluginHost, step: Step) -> StepReport:
        name = step.plugin or self._case.plugins[0]
        if step.do == "load":
            return await self._load(host, step, name)
        events: Counter[str] = Counter()
        with self._heart.paused():
            arguments = arguments_of(step)
        clock = Clock()
        outcome: Any
        if name not in self._plugins:
            outcome = RuntimeError(f"{name!r} is not loaded")
        else:
            try:
                outcome = await perform(self._plugins[name], step, arguments, events)
            except Exception as error:
                outcome = error
        took = clock.milliseconds()
        with self._heart.paused():
            self._note_peak()
            report = judge(step, outcome, events, took, self._case.limits.deadline_ms)
            if not isinstance(outcome, Exception):
                outcome = None  # an answer is its caller's to free; an error frees what made it
            forget_peak()
        return report

    async def _load(self, host: PluginHost, step: Step, name: str) -> StepReport:
        # What a deadline ends is timed the second time: the first one has to compile.
        by_deadline = step.timed and step.error == "DeadlineExceededError"
        outcome: Any = None
        took = 0.0
        for _ in range(2 if by_deadline else 1):
            clock = Clock()
            try:
                outcome = await host.load(self._folder / f"{name}.wasm")
                self._plugins[name] = outcome
            except Exception as error:
                outcome = error
            took = clock.milliseconds()
        return judge(step, outcome, Counter(), took, self._case.init_deadline_ms)

    async def _serve(self, good: LoadedProvider, when: str) -> None:
        """Has a good plugin do its work. Notes a problem if it can't."""
        self._heart.doing = f"a good plugin's calls {when}"
        try:
            with anyio.fail_after(_GOOD_SECONDS):
                answer = await good.generate({"messages": []})
                streamed = [event async for event in good.stream({"messages": []})]
                healthy = (await good.health_check()).healthy
        except Exception as error:
            self.report.problems.append(f"a good plugin was not served {when}: {error!r}")
            return
        if answer.text != "hi" or streamed or not healthy:
            self.report.problems.append(f"a good plugin was not served right {when}: {answer!r}")

    def _note(self, step: StepReport) -> None:
        self.report.steps.append(step)


def _watch(problems: list[str]) -> None:
    """Notes what is raised where nobody sees it."""

    def raised(what: str) -> Callable[[Any], None]:
        def note(found: Any) -> None:
            problems.append(f"raised in {what}: {found.exc_value!r}")

        return note

    sys.unraisablehook = raised("a destructor or callback")
    threading.excepthook = raised("a thread")


def play(case: Case, tier: Tier, cache: Path, folder: Path) -> None:
    """Plays a case, and writes `report.json` into `folder`. Once a process."""
    run = _Run(case, tier, folder, cache)
    _watch(run.report.problems)
    try:
        anyio.run(run.run)
    except Exception as error:  # no death: the process lives, and says what was wrong
        traceback.print_exc()
        run.report.problems.append(f"the host raised {error!r}")
    (folder / "report.json").write_text(run.report.model_dump_json())
