"""Builds the RPMs of one type: in the order of their BuildRequires, several at a time."""

from __future__ import annotations

import concurrent.futures as cf
import shutil
import time
from pathlib import Path

from pkgbuild import BuildError, buildroot, mock, order, results, rpmmeta
from pkgbuild.env import Env
from pkgbuild.resolve import Universe, Unresolvable
from pkgbuild.rpmmeta import Rpm
from pkgbuild.srpm import Srpm


class RpmBuild:
    """One run over the source packages of a type."""

    def __init__(self, env: Env, build_type: str, srpms: list[Srpm]) -> None:
        self._env = env
        self._type = build_type
        self._srpms = {s.name: s for s in srpms}
        self._results = env.results(build_type)
        self._to = env.rpms(build_type)
        self._to.mkdir(parents=True, exist_ok=True)
        inputs = rpmmeta.read(sorted(env.inputs.rglob("*.rpm")))
        self._base = buildroot.find_base(inputs, env.inputs)
        make = mock.Roots if mock.usable() else buildroot.Roots
        self._root = f"{make.__module__} {buildroot.identity(self._base, env)}"
        self._roots = make(env, self._base)
        self._inputs = [rpm for rpm in inputs if rpm is not self._base]
        self._std = []
        if build_type != "std":
            self._std = rpmmeta.read(sorted(env.rpms("std").glob("*.rpm")))
        there = rpmmeta.read(sorted(self._to.glob("*.rpm")))
        # From packages that this run does not build: to be built with. The others' are
        # superseded one by one.
        self._mine = [rpm for rpm in there if source_name(rpm) not in self._srpms]
        self._old = [rpm for rpm in there if source_name(rpm) in self._srpms]
        self._prepared = False
        self.built: list[str] = []
        self.reused: list[str] = []
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        """Builds all; what failed, and why, is in ``failed``."""
        universe = self._universe()
        before, unknown = order.dependencies(
            self._srpms.values(), lambda r: bool(universe.providers(rpmmeta.parse(r)))
        )
        waiting = dict(self._srpms)
        with cf.ThreadPoolExecutor(self._env.workers) as pool:
            running: dict[cf.Future[list[Path]], str] = {}
            while waiting or running:
                if self._drop_hopeless(waiting, before):
                    continue
                universe = self._universe()
                for name in self._ready(waiting, before, unknown, universe):
                    if len(running) >= self._env.workers:
                        break
                    self._start(waiting.pop(name), universe, pool, running)
                if running:
                    finished, _ = cf.wait(running, return_when=cf.FIRST_COMPLETED)
                    for future in finished:
                        self._finish(running.pop(future), future)
                elif waiting and not self._ready(waiting, before, unknown, universe):
                    self._stuck(waiting, before, unknown)

    def _universe(self) -> Universe:
        return Universe(self._base, self._mine, self._std, self._inputs)

    def _drop_hopeless(self, waiting: dict[str, Srpm], before: dict[str, set[str]]) -> bool:
        hopeless = {n: sorted(before[n] & set(self.failed)) for n in waiting}
        dropped = [n for n, lost in hopeless.items() if lost]
        for name in dropped:
            self._fail(waiting.pop(name), f"not tried: it needs {hopeless[name][0]}, which failed")
        return bool(dropped)

    def _ready(
        self,
        waiting: dict[str, Srpm],
        before: dict[str, set[str]],
        unknown: dict[str, set[str]],
        universe: Universe,
    ) -> list[str]:
        """Names to start now: what most others wait for first."""
        pending = set(self._srpms) - {*self.built, *self.reused, *self.failed}
        ready = [
            name
            for name in waiting
            if not before[name] & pending
            and all(universe.providers(rpmmeta.parse(r)) for r in unknown[name])
        ]
        weight = {n: sum(n in needed for needed in before.values()) for n in ready}
        return sorted(ready, key=lambda n: (-weight[n], -self._srpms[n].path.stat().st_size, n))

    def _stuck(
        self,
        waiting: dict[str, Srpm],
        before: dict[str, set[str]],
        unknown: dict[str, set[str]],
    ) -> None:
        """Nothing runs and nothing can start: gives the first reason that there is."""
        lacking = sorted(n for n in waiting if unknown[n] and not before[n] & set(waiting))
        for name in lacking:
            missing = ", ".join(sorted(unknown[name]))
            self._fail(waiting.pop(name), _unresolved(name, missing, ""))
        if not lacking:
            circle = order.cycle({n: before[n] & set(waiting) for n in waiting})
            for name in sorted(waiting):
                text = " -> ".join(circle) or ", ".join(sorted(before[name]))
                self._fail(waiting.pop(name), f"its BuildRequires go round in a circle: {text}")

    def _start(
        self,
        srpm: Srpm,
        universe: Universe,
        pool: cf.ThreadPoolExecutor,
        running: dict[cf.Future[list[Path]], str],
    ) -> None:
        try:
            install = universe.closure(srpm.build_requires)
        except Unresolvable as error:
            by = f", which {error.by.name} requires" if error.by else ""
            self._fail(srpm, _unresolved(srpm.name, str(error.wanted), by))
            return
        build_key = results.key(srpm.path, self._root, install)
        directory = self._results / srpm.nvr
        rpms = results.reusable(directory, build_key)
        if not rpms and self._env.avoidance:
            theirs = self._env.results(self._type, self._env.avoidance) / srpm.nvr
            if results.reusable(theirs, build_key):
                results.take_over(theirs, directory)
                rpms = results.reusable(directory, build_key)
        if rpms:
            self._deliver(rpms)
            self.reused.append(srpm.name)
            print(f"reused  {srpm.nvr}", flush=True)
            return
        if not self._prepared:
            self._roots.prepare()
            self._prepared = True
        results.fresh(directory)
        print(f"start   {srpm.nvr}", flush=True)
        future = pool.submit(self._build, srpm, [r.path for r in install], build_key)
        running[future] = srpm.name

    def _build(self, srpm: Srpm, install: list[Path], build_key: str) -> list[Path]:
        directory = self._results / srpm.nvr
        started = time.monotonic()
        rpms = self._roots.build(srpm.path, install, directory, on_disk=bool(srpm.is_big))
        results.succeed(directory, build_key, rpms)
        print(f"built   {srpm.nvr} ({time.monotonic() - started:.1f} s)", flush=True)
        return rpms

    def _finish(self, name: str, future: cf.Future[list[Path]]) -> None:
        srpm = self._srpms[name]
        directory = self._results / srpm.nvr
        try:
            self._deliver(future.result())
            self.built.append(name)
        except buildroot.RootFailed:
            self._fail(srpm, f"its root could not be set up: {directory / 'root.log'}", "root.log")
        except buildroot.PackageFailed:
            self._fail(srpm, f"it does not build: {directory / 'build.log'}", "build.log")

    def _fail(self, srpm: Srpm, why: str, log: str = "") -> None:
        directory = self._results / srpm.nvr
        results.fail(directory, why)
        self.failed[srpm.name] = why
        print(f"FAILED  {srpm.nvr}: {why}", flush=True)
        if log and (directory / log).is_file():
            text = (directory / log).read_text(errors="replace")
            for line in text.splitlines()[-12:]:
                print(f"        | {line}", flush=True)

    def _deliver(self, rpms: list[Path]) -> None:
        """Puts a package's RPMs into the repository, in place of those it had there."""
        new = rpmmeta.read(rpms)
        names = {source_name(rpm) for rpm in new}
        for rpm in self._old:
            if source_name(rpm) in names:
                rpm.path.unlink(missing_ok=True)
        for rpm in new:
            temporary = self._to / f".{rpm.path.name}"
            shutil.copy2(rpm.path, temporary)
            temporary.replace(self._to / rpm.path.name)
        self._mine += [rpm._replace(path=self._to / rpm.path.name) for rpm in new]

    def forget_others(self) -> None:
        """Removes RPMs of packages that the source tree no longer has."""
        for rpm in self._mine:
            if source_name(rpm) not in self._srpms:
                rpm.path.unlink()


def _unresolved(name: str, missing: str, by: str) -> str:
    return (
        f"{name} needs {missing}{by}, and no package of the build or of the downloads provides "
        "it; add it to buildroot.lst, or a package that provides it"
    )


def source_name(rpm: Rpm) -> str:
    """The name of the source package that ``rpm`` was built from."""
    return rpm.source.rsplit("-", 2)[0]


def remove(directory: Path, source: str) -> None:
    """Removes the RPMs of a source package from a directory."""
    for rpm in rpmmeta.read(sorted(directory.glob("*.rpm"))):
        if source_name(rpm) == source:
            rpm.path.unlink()


def check_unique(srpms: list[Srpm]) -> None:
    """Two source packages of one name would overwrite each other."""
    seen: dict[str, Srpm] = {}
    for srpm in srpms:
        other = seen.setdefault(srpm.name, srpm)
        if other is not srpm:
            raise BuildError(
                f"two packages make {srpm.name}: {other.path.name} and {srpm.path.name}; "
                "take one out of its centos_pkg_dirs"
            )
