"""The commands build-pkgs, build-srpms-parallel and build-rpms-parallel."""

from __future__ import annotations

import argparse
import concurrent.futures as cf
import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pkgbuild import BuildError, env, repository, results, rpms, source, srpm
from pkgbuild.buildroot import file_digest
from pkgbuild.env import Env
from pkgbuild.source import PackageDir
from pkgbuild.srpm import Srpm


def main(argv: list[str]) -> int:
    """Runs the command named first; 0 when nothing failed."""
    command, *words = argv
    arguments = _parser(command).parse_args(words)
    try:
        environment = env.read(os.environ)
        if arguments.serial:
            environment = dataclasses.replace(environment, workers=1)
        if arguments.build_avoidance_dir:
            environment = dataclasses.replace(environment, avoidance=arguments.build_avoidance_dir)
        if arguments.no_build_avoidance:
            environment = dataclasses.replace(environment, avoidance=None)
        failed = _run(command, arguments, environment)
    except BuildError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    if failed:
        print(f"ERROR: failed: {' '.join(sorted(failed))}", file=sys.stderr)
    return 1 if failed else 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=command, description=__doc__)
    for name in env.TYPES:
        parser.add_argument(f"--{name}", action="append_const", dest="types", const=name)
    parser.add_argument(
        "--clean", action="store_true", help="remove results instead of making them"
    )
    parser.add_argument("--serial", action="store_true", help="one package at a time")
    parser.add_argument("--no-build-avoidance", action="store_true")
    parser.add_argument("--build-avoidance-dir", type=Path, metavar="WORKSPACE")
    parser.add_argument("packages", nargs="*", metavar="package")
    return parser


def _run(command: str, arguments: argparse.Namespace, environment: Env) -> set[str]:
    # As StarlingX: without a type, std and then rt; the installer only when it is asked for.
    failed: set[str] = set()
    _check_name_spaces()
    environment.workspace.mkdir(parents=True, exist_ok=True)
    context = environment.workspace / "CONTEXT"
    if command == "build-pkgs" and not context.exists():
        context.write_text(source.context(environment.repo))
    asked = set(arguments.packages)
    for build_type in arguments.types or ("std", "rt"):
        packages = source.package_dirs(environment.repo, build_type)
        if arguments.packages:
            packages = [p for p in packages if srpm.names(p) & set(arguments.packages)]
            for package in packages:
                asked -= srpm.names(package)
        if arguments.clean:
            _clean(environment, build_type, packages, everything=not arguments.packages)
            continue
        if command == "build-rpms-parallel":
            made = {p: srpm.existing(p, environment, build_type) for p in packages}
        else:
            made, lost = _srpms(environment, build_type, packages, not arguments.packages)
            failed |= lost
        if command != "build-srpms-parallel" and packages:
            everything = not (arguments.packages or failed)
            found = [s for made_here in made.values() for s in made_here]
            failed |= _rpms(environment, build_type, found, failed, everything)
    if asked:
        raise BuildError(f"no package is called {' or '.join(sorted(asked))}")
    return failed


def _check_name_spaces() -> None:
    """Everything is built in user name spaces: one message instead of one a package."""
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BuildError(
            f"this account may not make user name spaces ({done.stderr.strip()}); look at the "
            "sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone and "
            "kernel.apparmor_restrict_unprivileged_userns"
        )


def _srpms(
    environment: Env, build_type: str, packages: list[PackageDir], everything: bool
) -> tuple[dict[PackageDir, list[Srpm]], set[str]]:
    """Makes the source RPMs; returns them and the names of the directories that failed."""
    to = environment.srpms(build_type)
    to.mkdir(parents=True, exist_ok=True)
    made: dict[PackageDir, list[Srpm]] = {}
    failed = set()
    with cf.ThreadPoolExecutor(environment.workers) as pool:
        futures = [(p, pool.submit(srpm.build, p, environment, build_type)) for p in packages]
        for package, future in futures:
            try:
                made[package] = [_keep(s, to) for s in future.result()]
            except BuildError as error:
                failed.add(package.path.name)
                print(f"FAILED  {error}", flush=True)
    rpms.check_unique([s for found in made.values() for s in found])
    if everything and not failed:
        known = {s.path.name for found in made.values() for s in found}
        for path in to.glob("*.src.rpm"):
            if path.name not in known:
                path.unlink()
    repository.index(to)
    print(f"{build_type}: {sum(map(len, made.values()))} source RPMs", flush=True)
    return made, failed


def _keep(made: Srpm, to: Path) -> Srpm:
    """Moves a source RPM to its place, unless the same one lies there already."""
    kept = to / made.path.name
    if not kept.exists() or file_digest(kept) != file_digest(made.path):
        for old in to.glob(f"{made.name}-*.src.rpm"):
            if old.name.rsplit("-", 2)[0] == made.name:
                old.unlink()
        shutil.copy2(made.path, kept)
    return made._replace(path=kept)


def _rpms(
    environment: Env, build_type: str, srpms: list[Srpm], failed: set[str], everything: bool
) -> set[str]:
    run = rpms.RpmBuild(environment, build_type, srpms)
    run.run()
    if everything and not run.failed:
        run.forget_others()
    repository.index(environment.rpms(build_type))
    lost = failed | set(run.failed)
    summary = environment.workspace / build_type / "results" / "summary.json"
    results.write_summary(summary, run.built, run.reused, lost)
    print(
        f"{build_type}: {len(run.built)} built, {len(run.reused)} reused, {len(lost)} failed",
        flush=True,
    )
    for name, why in sorted(run.failed.items()):
        print(f"  {name}: {why}", flush=True)
    return set(run.failed)


def _clean(
    environment: Env, build_type: str, packages: list[PackageDir], *, everything: bool
) -> None:
    """Removes results, source RPMs and RPMs, of all or of the named packages."""
    if everything:
        shutil.rmtree(environment.workspace / build_type, ignore_errors=True)
        return
    for package in packages:
        for made in srpm.existing(package, environment, build_type):
            made.path.unlink()
            shutil.rmtree(environment.results(build_type) / made.nvr, ignore_errors=True)
            rpms.remove(environment.rpms(build_type), made.name)
    for directory in (environment.srpms(build_type), environment.rpms(build_type)):
        repository.index(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
