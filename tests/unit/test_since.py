# SPDX-License-Identifier: Apache-2.0
"""`script/test`: what is run for a change, how parts run side by side, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests/run"))
import durations  # noqa: E402 - what script/test consists of
import jobs  # noqa: E402
import main  # noqa: E402
import pool  # noqa: E402
import since  # noqa: E402
from durations import Measured  # noqa: E402
from jobs import Job  # noqa: E402

# What plays the building roles.
BUILDS = {"e2e", "molecule build"}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project of this one's shape, with as little in it as can be."""
    root = tmp_path_factory.mktemp("project")
    files = {
        "stxmirror/__init__.py": "",
        "stxmirror/layout.py": "",
        "stxmirror/images.py": "from stxmirror.layout import x",
        "stxmirror/mirror/__init__.py": "",
        "stxmirror/mirror/store.py": "from stxmirror import layout",
        "module_utils/trees.py": "",
        "library/run_stage.py": "from ansible.module_utils.trees import end",
        "filter_plugins/image_name.py": "def f():\n    from stxmirror import images",
        "roles/users/tasks/main.yml": "- name: x\n",
        "roles/server/tasks/main.yml": "- import_role:\n    name: users\n",
        "roles/stages/tasks/main.yml": "- run_stage:\n    x: '{{ 1 | image_name }}'\n",
        "molecule/users/molecule.yml": "---\n",
        "molecule/server/molecule.yml": "---\n",
        "molecule/scheduler/molecule.yml": "---\n",
        "tests/unit/test_layout.py": "from stxmirror import layout",
        "tests/unit/test_stage.py": "from caller import call\ncall('run_stage')",
        "tests/unit/test_filters.py": "NAMES = ['image_name']",
        "tests/unit/test_table.py": "from pathlib import Path\nT = Path('x') / 'docs/table.md'",
        "tests/unit/test_all.py": "def t(x):\n    return open(f'roles/{x}/vars/main.yml')",
        "tests/unit/caller.py": "",
        "tests/mirror/conftest.py": "from stxmirror.mirror import store",
        "tests/mirror/test_store.py": "",
        "tests/iso/test_iso.py": "",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("path", "targets"),
    [
        ("docs/page.md", set()),
        ("docs/table.md", {"tests/unit/test_table.py"}),
        ("stxmirror/images.py", {"tests/unit/test_filters.py"}),
        # By way of images.py and the filter, and of a conftest that nobody imports.
        (
            "stxmirror/layout.py",
            {
                "tests/unit/test_layout.py",
                "tests/unit/test_filters.py",
                "tests/mirror/test_store.py",
            },
        ),
        (
            "stxmirror/mirror/store.py",
            {"tests/mirror/test_store.py", "e2e", "molecule mirror_host"},
        ),
        # A role without a scenario of its own is a building role.
        ("library/run_stage.py", {"tests/unit/test_stage.py", *BUILDS}),
        ("module_utils/trees.py", {"tests/unit/test_stage.py", *BUILDS}),
        ("filter_plugins/image_name.py", {"tests/unit/test_filters.py", *BUILDS}),
        ("roles/users/tasks/main.yml", {"molecule users", "molecule server"}),
        ("roles/server/tasks/main.yml", {"molecule server"}),
        ("roles/stages/tasks/main.yml", BUILDS),
        ("roles/scheduler/files/build-unit", {"molecule scheduler", "molecule build"}),
        ("playbooks/publish.yml", BUILDS),
        ("molecule/build/tests/test_builds.py", {"molecule build"}),
        ("roles/users/README.md", set()),
        (
            "roles/users/vars/main.yml",
            {"tests/unit/test_all.py", "molecule users", "molecule server"},
        ),
        ("molecule/users/tests/test_users.py", {"molecule users"}),
        ("molecule/shared/create.yml", {"molecule", "e2e"}),
        ("tests/unit/caller.py", {"tests/unit/test_stage.py"}),
        ("tests/iso/test_iso.py", {"tests/iso/test_iso.py"}),
        ("sample/base/bash/bash.spec", {"tools", "e2e"}),
        ("tests/run/tools", {"tools"}),
        ("pyproject.toml", {"everything"}),
        ("requirements/test.txt", {"everything"}),
        ("somewhere/unheard/of", {"everything"}),
    ],
)
def test_what_a_path_can_break(project, path, targets):
    known = project / "molecule/mirror_host/molecule.yml"
    known.parent.mkdir(exist_ok=True)
    known.touch()
    assert set(since.Selection([path], project).reasons) == targets | {"lint"}


def test_each_target_says_why():
    shown = since.Selection(["stxmirror/images.py", "docs/operations.md"]).described()
    words = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert words["tests/unit/test_images.py"] == "imports stxmirror/images.py"
    assert words["lint"] == "docs/operations.md changed, and 1 more"
    assert since.Selection([]).described() == "nothing differs: nothing to run"


def test_files_of_one_part_are_one_job():
    selected = since.Selection(["tests/iso/test_iso_checks.py", "tests/unit/test_times.py"]).jobs()
    assert [job.command for job in selected if job.name != "lint"] == [
        ("tests/run/unit", "tests/unit/test_times.py"),
        ("tests/run/tools", "tests/iso/test_iso_checks.py"),
    ]


def test_everything_is_what_runs_without_a_choice():
    whole = [job for name in jobs.PARTS for job in jobs.part(name, brief=True)]
    assert since.Selection(["pyproject.toml"]).jobs() == whole
    assert {job.name.split()[0] for job in whole} == set(jobs.PARTS)


def test_every_file_of_the_project_has_a_rule():
    """Else a change of it runs everything, and nobody sees why."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    unknown = [
        path
        for path in filter(None, tracked)
        if not any(since.targets_of(rule, path) is not None for rule in since.RULES)
    ]
    assert unknown == []


def test_uncommitted_and_moved_files_count(tmp_path):
    def git(*words: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    for name in ("kept", "moved", "edited"):
        (tmp_path / name).write_text(f"{name} and long enough to be found again\n")
    git("add", ".")
    git("commit", "-m", "x")
    git("mv", "moved", "with space")
    (tmp_path / "edited").write_text("2")
    (tmp_path / "new\nline").write_text("3")
    assert since.changed("HEAD", tmp_path) == ["edited", "moved", "new\nline", "with space"]
    for bad in ("nonesuch", "--output=x"):
        with pytest.raises(ValueError, match="name a commit, branch or tag"):
            since.changed(bad, tmp_path)


def test_only_scenarios_of_roles_that_the_end_to_end_test_plays_are_brief():
    played = set(jobs.PLAYED_BY_E2E)
    assert played <= set(jobs.scenarios())
    text = (PROJECT / "playbooks/provision.yml").read_text()
    assert {role for role in played if f"role: {role}\n" not in text} <= {"users"}
    brief = {job.name for job in jobs.part("molecule", brief=True) if "--brief" in job.command}
    assert brief == {f"molecule {role}" for role in played}
    assert not any("--brief" in job.command for job in jobs.part("molecule"))


def shell(name: str, script: str, **more) -> Job:
    return Job(name, ("sh", "-c", script), **more)


def test_a_failure_is_shown_whole_and_hides_no_other_result(tmp_path):
    said: list[str] = []
    results = pool.run(
        [
            shell("bad one", "echo first words; echo last words >&2; exit 3"),
            shell("good", "echo not shown; echo $WORD", environment={"WORD": "in the log"}),
            shell("cannot", "echo no such program; exit 77"),
        ],
        2,
        tmp_path,
        said.append,
    )
    assert {each.job.name: each.code for each in results} == {"bad one": 3, "good": 0, "cannot": 77}
    words = "\n".join(said)
    assert "first words\nlast words" in words
    assert "FAILED bad one: exit status 3" in words
    assert "not shown" not in words
    assert (tmp_path / "good.log").read_text() == "not shown\nin the log\n"
    assert (tmp_path / "bad-one.log").exists()


def test_jobs_run_side_by_side_but_for_those_that_must_not(tmp_path):
    meet = (
        "touch $0; n=0; until [ -e $1 ]; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done"
    )
    alone = "mkdir {0}/held && sleep 0.5 && rmdir {0}/held"
    here = tmp_path.as_posix()
    results = pool.run(
        [
            Job("a", ("sh", "-c", meet, f"{here}/a", f"{here}/b")),
            Job("b", ("sh", "-c", meet, f"{here}/b", f"{here}/a")),
            shell("c", alone.format(here), alone="x"),
            shell("d", alone.format(here), alone="x"),
        ],
        4,
        tmp_path / "logs",
        lambda words: None,
    )
    assert [each.code for each in results] == [0, 0, 0, 0]


def running(pid: Path) -> bool:
    """Whether the process whose number is in a file runs; a dead one may wait for its parent."""
    try:
        stat = Path(f"/proc/{pid.read_text().strip()}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_what_was_interrupted_leaves_nothing_running(tmp_path):
    def interrupt(words: str) -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.1)
        raise KeyboardInterrupt

    job = shell("long", f"cd {tmp_path}; sleep 300 & echo $! >new; mv new pid; wait")
    with pytest.raises(KeyboardInterrupt):
        pool.run([job], 1, tmp_path / "logs", interrupt)
    for _ in range(50):
        if not running(tmp_path / "pid"):
            return
        time.sleep(0.1)
    pytest.fail("it runs on")


def test_the_longest_scenarios_start_first_and_the_end_to_end_test_before_them():
    waiting = [shell(f"molecule {name}", "") for name in "abc"] + [shell("e2e", "")]
    ordered = jobs.in_order(waiting, {"molecule b": 9, "molecule c": 5, "e2e": 1})
    assert [job.name for job in ordered] == ["e2e", "molecule b", "molecule c", "molecule a"]


def test_durations_are_kept_and_shown_beside_the_last_ones(tmp_path):
    file = tmp_path / "durations.tsv"
    durations.write({"unit": Measured(200, 1000), "molecule a": Measured(50, 7)}, file)
    # What did not run this time keeps what it had.
    durations.write({"unit": Measured(180, 1001)}, file)
    before = durations.read(file)
    assert before == {"unit": Measured(180, 1001), "molecule a": Measured(50, 7)}
    now = {"unit": Measured(90, 990), "lint": Measured(50)}
    assert durations.table(now, before).splitlines() == [
        "part  seconds  before  tests  before",
        "unit       90     180    990    1001",
        "lint       50       -      -       -",
    ]
    assert list(durations.fewer(now, before)) == ["unit ran 990 tests, and 1001 before"]


@pytest.mark.parametrize(
    ("log", "count"),
    [
        ("....\n12 passed in 3.21s\n", 12),
        (
            "== 3 failed, 12 passed, 1 skipped, 2 warnings in 63.21s ==\n5 passed in 1s\n",
            17,
        ),
        ("\x1b[32m\x1b[1m7 passed\x1b[0m\x1b[32m in 0.2s\x1b[0m\n", 7),
        ("1.12 passed, not pytest's words\n", 0),
    ],
)
def test_tests_are_counted_as_pytest_says_them(log, count):
    assert durations.tests_in(log) == count


def test_the_last_lines_say_what_failed_and_what_could_not_be_tried(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(main, "PROJECT", tmp_path)
    monkeypatch.setattr(durations, "FILE", tmp_path / "durations.tsv")
    results = []
    for name, code, text in (
        ("unit", 0, "3 passed in 1s"),
        ("e2e", 1, "it broke"),
        ("unit on Python 3.13", pool.SKIPPED, "looking\nno Python 3.13 on this machine"),
    ):
        log = tmp_path / name
        log.write_text(text)
        results.append(pool.Result(Job(name, ()), code, 7, log))
    assert main.report(results, 9, record=False, complete=True) == 1
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "skipped: unit on Python 3.13: no Python 3.13 on this machine",
        "failed: e2e; its output is in e2e",
        "1 passed, 1 failed, 1 skipped",
    ]
    assert main.report(results[:1], 9, record=True, complete=True) == 0
    # A run in which something failed says nothing of how long all of it takes.
    assert durations.read(durations.FILE) == {"all of it": Measured(9, 3), "unit": Measured(7, 3)}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nonesuch"], "unknown part 'nonesuch'; the parts are: e2e, unit, tools, lint, molecule"),
        (["--since", "nonesuch"], "git does not know 'nonesuch'"),
        (["--since", "HEAD", "unit"], "--since chooses the parts"),
    ],
)
def test_what_cannot_be_chosen_is_refused(words, why, capsys):
    try:
        code = main.main(words)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert why in capsys.readouterr().err
