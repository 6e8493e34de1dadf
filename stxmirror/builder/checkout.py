"""A `repo` checkout made anew for each build, from git objects that no stage can change.

The cache is a `repo` client without work trees, which only :func:`bring` writes. A build's
checkout borrows its objects (git's alternates): what a stage does to its `.git`, its hooks or its
work trees ends with that build. Runs as the builder, see ``prepare``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from stxmirror.errors import StxMirrorError

# What an interrupted git command leaves in a git directory; `repo sync` stops at each of them.
HALF_DONE = ("rebase-apply", "rebase-merge", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
    # A remote that sends nothing for a minute is given up.
    "GIT_HTTP_LOW_SPEED_LIMIT": "1",
    "GIT_HTTP_LOW_SPEED_TIME": "60",
    # No `ext::` or other remote that is a command.
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    # repo would keep its trace where it is installed, which the builder may not write to.
    "REPO_TRACE": "0",
}
_LIST_SECONDS = 120


@dataclass(frozen=True)
class Source:
    """What is checked out, and how patiently; times are seconds.

    ``stream`` is whose manifest it is, for messages. Public servers throttle who asks for more
    than a few repositories (``jobs``) at once.
    """

    url: str
    file: str
    branch: str
    stream: str
    repo: Sequence[str] = ("repo",)
    jobs: int = 4
    attempts: int = 3
    delay: float = 5
    probe_timeout: float = 20
    sync_timeout: float = 3600


@dataclass(frozen=True)
class Project:
    """One repository of a manifest: where it is checked out, from where, and at which commit."""

    path: str
    url: str
    ref: str
    commit: str


@dataclass
class Checkout:
    """What :func:`bring` made."""

    manifest_revision: str
    projects: list[Project]
    mended: list[str] = field(default_factory=list)


def run(command: Sequence[str], cwd: Path, timeout: float) -> tuple[int | None, str, str]:
    """Run a command without a terminal; return exit code, output, and its last words.

    The exit code is ``None`` if ``timeout`` (seconds) ended it, with everything it had started.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(os.environ, **ENVIRONMENT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, stderr = process.communicate()
        return None, out, f"no end after {timeout:g} seconds"
    words = [line.strip() for line in (stderr + out).split("\n") if line.strip()]
    return process.returncode, out, " / ".join(words[-4:])[-600:]


def find_revision(source: Source) -> tuple[str, str]:
    """Ask the manifest's repository for its branch or tag; return what repo takes, and the commit.

    Here a wrong URL, a dead server and a missing branch are told apart.
    """
    whose = f"the manifest of stream {source.stream}"
    stderr = ""
    for attempt in range(source.attempts):
        if attempt:
            time.sleep(source.delay * 2 ** (attempt - 1))
        refs, stderr = list_refs(source.url, source.branch, source.probe_timeout)
        if refs is None:
            continue
        heads, tags = f"refs/heads/{source.branch}", f"refs/tags/{source.branch}"
        if heads in refs:
            return source.branch, refs[heads]
        if tags in refs:
            return tags, refs.get(f"{tags}^{{}}", refs[tags])
        raise StxMirrorError(
            f"{whose} at {source.url} has no branch or tag {source.branch!r}: create it there, or "
            "name another one as manifest.branch of the stream"
        )
    raise StxMirrorError(
        f"{whose} at {source.url} does not answer, tried {source.attempts} times ({stderr}): check "
        "manifest.url of the stream and that this host reaches it, then build again"
    )


def list_refs(url: str, name: str, timeout: float) -> tuple[dict[str, str] | None, str]:
    """Return the branches and tags called ``name`` as ``{ref: commit}``, or ``None`` and why."""
    full = [name] if name.startswith("refs/") else [f"refs/heads/{name}", f"refs/tags/{name}"]
    # Of an annotated tag, the commit that it stands for as well.
    wanted = [*full, *(f"{ref}^{{}}" for ref in full if ref.startswith("refs/tags/"))]
    code, out, stderr = run(["git", "ls-remote", "--", url, *wanted], Path("/"), timeout)
    if code != 0:
        return None, stderr
    lines = (line.split("\t", 1) for line in out.split("\n") if "\t" in line)
    return {ref: commit for commit, ref in lines}, ""


def is_unchanged(source: Source, known: Sequence[Project]) -> bool:
    """Whether every repository still is at the commit that the last good build had of it.

    A repository that does not answer counts as changed: the sync then says what is wrong.
    """

    def same(project: Project) -> bool:
        if project.ref == project.commit:
            return True  # pinned: the manifest is the same, so this is too
        refs, _ = list_refs(project.url, project.ref, source.probe_timeout)
        branch = f"refs/heads/{project.ref}"
        commits = [refs[branch]] if refs and branch in refs else (refs or {}).values()
        return project.commit in commits

    with ThreadPoolExecutor(max_workers=source.jobs) as pool:
        return all(pool.map(same, known))


def bring(
    source: Source, cache: Path, root: Path, revision: str, unchanged: Checkout | None = None
) -> Checkout:
    """Bring the cache to the manifest, and make a checkout of it in the empty directory ``root``.

    ``revision`` is from :func:`find_revision`. ``unchanged`` is what the remotes were just seen to
    have (:func:`is_unchanged`): a cache that has it, too, is not brought anywhere.
    """
    if unchanged is not None and (made := _as_it_is(source, cache, root, unchanged)):
        return made
    mended: list[str] = []
    step, stderr = "", ""
    for attempt in range(source.attempts):
        if attempt:
            time.sleep(source.delay * 2 ** (attempt - 1))
        mended += mend(cache, thorough=attempt > 0, timeout=source.sync_timeout)
        step, code, stderr = _sync(source, cache, revision)
        if code == 0:
            step, code, stderr = _check_out(source, cache, root)
        if code == 0:
            return Checkout(_manifest_commit(root), _projects(source, root), mended)
    raise StxMirrorError(
        f"{step} of stream {source.stream} (manifest {source.file} at {source.url}, {revision}) "
        f"failed {source.attempts} times: {stderr}. See which repository it names, check that "
        "this host reaches it, then build again"
    )


def _as_it_is(source: Source, cache: Path, root: Path, wanted: Checkout) -> Checkout | None:
    """Make the checkout without asking the network; ``None`` where that is not what is wanted."""
    mended = mend(cache, thorough=False, timeout=source.sync_timeout)
    _, code, _ = _check_out(source, cache, root)
    if code != 0:
        return None
    made = Checkout(_manifest_commit(root), _projects(source, root), mended)
    found, asked = replace(made, mended=[]), replace(wanted, mended=[])
    return made if found == asked else None


def _sync(source: Source, cache: Path, revision: str) -> tuple[str, int | None, str]:
    _forget_tags([cache / ".repo" / "manifests.git"])
    init = ["init", "--quiet", "--manifest-url=" + source.url]
    init += ["--manifest-branch=" + revision, "--manifest-name=" + source.file]
    code, _, stderr = run([*source.repo, *init], cache, source.sync_timeout)
    if code != 0:
        return "repo init", code, stderr
    _forget_tags(sorted((cache / ".repo" / "projects").glob("**/*.git")))
    sync = ["sync", "--quiet", "--network-only", f"--jobs={source.jobs}", "--current-branch"]
    sync += ["--force-sync", "--no-tags", "--no-clone-bundle"]
    code, _, stderr = run([*source.repo, *sync], cache, source.sync_timeout)
    return "repo sync", code, stderr


def _forget_tags(clients: Iterable[Path]) -> None:
    """Have repo ask for tags anew: it never looks again for one that it has, and tags move."""
    for client in clients:
        packed = client / "packed-refs"
        if any((client / "refs" / "tags").glob("**/*")) or (
            packed.is_file() and b" refs/tags/" in packed.read_bytes()
        ):
            _, tags, _ = git(client, "for-each-ref", "--format=%(refname)", "refs/tags")
            for tag in tags.split():
                git(client, "update-ref", "-d", tag)


def _check_out(source: Source, cache: Path, root: Path) -> tuple[str, int | None, str]:
    """Make the work trees, with git directories of their own that borrow the cache's objects."""
    for path in root.iterdir():
        remove(path)
    shutil.copytree(cache / ".repo", root / ".repo", symlinks=True, ignore=_object_stores)
    for store in _stores(cache):
        objects = root / store.relative_to(cache) / "objects"
        (objects / "info").mkdir(parents=True)
        (objects / "pack").mkdir()
        (objects / "info" / "alternates").write_text(f"{store}/objects\n")
    sync = ["sync", "--quiet", "--local-only", "--detach", "--force-sync", f"--jobs={source.jobs}"]
    code, _, stderr = run([*source.repo, *sync], root, source.sync_timeout)
    return "the checkout", code, stderr


def _object_stores(directory: str, names: list[str]) -> list[str]:
    return ["objects"] if "objects" in names and "/project-objects/" in directory else []


def _stores(base: Path) -> list[Path]:
    return sorted((base / ".repo" / "project-objects").glob("**/*.git"))


def _manifest_commit(root: Path) -> str:
    code, out, stderr = git(root / ".repo" / "manifests", "rev-parse", "HEAD")
    if code != 0:
        raise StxMirrorError(f"the manifest in {root} has no commit: {stderr}")
    return out.strip()


def git(directory: Path, *arguments: str, timeout: float = 3600) -> tuple[int | None, str, str]:
    """Run git in a directory, whatever the host's or the account's git configuration says."""
    immune = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    words = ["env", *(f"{key}={value}" for key, value in immune.items())]
    return run([*words, "git", "-C", str(directory), *arguments], directory, timeout)


def _projects(source: Source, root: Path) -> list[Project]:
    """Return every repository of the checkout, sorted by path."""
    code, text, stderr = run([*source.repo, "manifest"], root, _LIST_SECONDS)
    if code != 0:
        raise StxMirrorError(f"repo manifest failed in {root}: {stderr}")
    refs = _refs(text)
    paths = (root / ".repo" / "project.list").read_text(encoding="utf-8").split("\n")
    found = []
    for path in sorted(filter(None, paths)):
        code, out, stderr = git(root / path, "rev-parse", "--verify", "HEAD")
        if code != 0:
            raise StxMirrorError(f"{path} in {root} has no commit: {stderr}")
        commit = out.strip()
        _, url, _ = git(root / path, "config", "--get-regexp", r"^remote\..*\.url$")
        address = url.split("\n")[0].partition(" ")[2]
        # One that the manifest does not name (a submodule) is asked for as what it is not: it
        # counts as changed. As its own commit it would never change.
        found.append(Project(path, address, refs.get(path, ""), commit))
    return found


def _refs(manifest: str) -> dict[str, str]:
    """Return ``{path: branch, tag or commit}`` of a manifest with its includes taken in."""
    tree = ET.fromstring(manifest)  # noqa: S314 - repo has just written it
    remotes = {r.get("name"): r.get("revision") for r in tree.iter("remote")}
    default = tree.find("default")
    given: Mapping[str, str] = default.attrib if default is not None else {}
    refs = {}
    for project in tree.iter("project"):
        remote = remotes.get(project.get("remote") or given.get("remote"))
        ref = project.get("revision") or remote or given.get("revision") or ""
        refs[project.get("path") or project.get("name") or ""] = ref.removeprefix("refs/heads/")
    return refs


def remove(path: Path) -> None:
    """Remove a file or a tree, also one whose directories lost their write permission."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for directory, _, _ in os.walk(path):
        Path(directory).chmod(0o700)
    shutil.rmtree(path)


def mend(cache: Path, *, thorough: bool, timeout: float) -> list[str]:
    """Undo what a killed sync left in the cache; return what was done, a sentence each.

    ``thorough`` also reads all objects. What is damaged is removed, and so fetched again.
    """
    # repo looks for a .repo in every directory above as well: make sure that it ends here.
    (cache / ".repo").mkdir(parents=True, exist_ok=True)
    done = _drop_locks(cache)
    manifests = cache / ".repo" / "manifests"
    if not manifests.is_dir() or _is_damaged(manifests, thorough, timeout):
        names = ("manifests", "manifests.git", "manifest.xml")
        present = [cache / ".repo" / name for name in names]
        present = [path for path in present if path.is_symlink() or path.exists()]
        for path in present:
            remove(path)
        if present:
            done.append("the manifest's own checkout was damaged and is fetched again")
    for store in _stores(cache) if thorough else []:
        if git(store, "fsck", "--connectivity-only", timeout=timeout)[0] != 0:
            remove(store)
            _drop_clients_of(cache, store)
            done.append(f"{store.name} was damaged and is fetched again")
    for client in sorted((cache / ".repo" / "projects").glob("**/*.git")):
        if not (client / "objects").exists() or git(client, "rev-parse", "--git-dir")[0] != 0:
            remove(client)
            done.append(f"{client.name} was damaged and is fetched again")
    return done


def _drop_clients_of(cache: Path, store: Path) -> None:
    for client in sorted((cache / ".repo" / "projects").glob("**/*.git")):
        if (client / "objects").resolve() == store / "objects":
            remove(client)


def _is_damaged(directory: Path, thorough: bool, timeout: float) -> bool:
    if git(directory, "rev-parse", "--verify", "HEAD^{tree}")[0] != 0:
        return True
    return thorough and git(directory, "fsck", "--connectivity-only", timeout=timeout)[0] != 0


def _drop_locks(cache: Path) -> list[str]:
    done = []
    for directory, names, files in os.walk(cache / ".repo"):
        if "objects" in names:
            names.remove("objects")
        for name in files:
            if name.endswith(".lock"):
                (Path(directory) / name).unlink()
                done.append(f"removed the stale lock {name} in {directory}")
        for name in HALF_DONE:
            if name in names or name in files:
                remove(Path(directory) / name)
                done.append(f"removed {name} in {directory}")
    return done
