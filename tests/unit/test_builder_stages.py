"""The stages of a profile, run one after the other, and what the record and the reader learn."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from build_host import opened

from stxmirror import records
from stxmirror.builder import stages
from stxmirror.builder.sandbox import Outcome
from stxmirror.builder.session import PartFailed, Session, close_failure
from stxmirror.builder.stages import Limits, run_stages

UNLIMITED = Limits(0, 0)


def stage(name: str, script: str, **changes: object) -> dict:
    return {"name": name, "command": ["sh", "-c", script], "time_limit": 60, **changes}


@pytest.fixture(autouse=True)
def _pause(monkeypatch):
    monkeypatch.setattr(stages, "RETRY_PAUSE_SECONDS", 0.1)


@pytest.fixture
def build(paths, make_stream):
    """Open a build of some stages; it runs with ``run_stages``."""

    def build(*given: dict, **changes: object) -> Session:
        profile = {"name": "sample", "description": "x", "stages": list(given), **changes}
        return opened(paths, make_stream(), profile)

    return build


def fails(session: Session, limits: Limits = UNLIMITED) -> PartFailed:
    with pytest.raises(PartFailed) as failure:
        run_stages(session, limits)
    return failure.value


def events(session: Session) -> list[tuple[str, ...]]:
    told = map(json.loads, session.paths.events("master").read_text().splitlines())
    return [(e["event"], e.get("part") or e.get("text"), e.get("result")) for e in told]


class Scripted:
    """A sandbox that answers with given outcomes, and keeps what it was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.tasks = []

    def run(self, task):
        self.tasks.append(task)
        return self.outcomes.pop(0)


def outcome(result: str = "ok", **changes: object) -> Outcome:
    started = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)
    values = {
        "result": result,
        "why": "" if result == "ok" else f"sh ended as {result}",
        "exit_code": 0 if result == "ok" else 1,
        "started": started,
        "finished": started + timedelta(seconds=10),
        "seconds": 10.0,
        "cpu_seconds": 4.0,
        "peak_memory_bytes": 1000,
        **changes,
    }
    return Outcome(**values)


def with_outcomes(session: Session, *outcomes: Outcome) -> tuple[Session, Scripted]:
    sandbox = Scripted(*outcomes)
    return replace(session, make_sandbox=lambda *_: sandbox), sandbox


def test_stages_run_in_order_and_are_recorded(build):
    made = build(stage("one", "echo 1 > order"), stage("two", "echo 2 >> order"))
    run_stages(made, UNLIMITED)
    assert (made.workspace / "order").read_text() == "1\n2\n"
    runs = made.record()["stages"]
    assert [(run["name"], run["result"], run["exit_code"]) for run in runs] == [
        ("one", "ok", 0),
        ("two", "ok", 0),
    ]
    assert [run["log"] for run in runs] == ["outputs/logs/one.log", "outputs/logs/two.log"]
    assert events(made) == [
        ("begin", "one", None),
        ("end", "one", "ok"),
        ("begin", "two", None),
        ("end", "two", "ok"),
    ]


def test_what_a_stage_cost_is_recorded(build):
    made, _ = with_outcomes(build(stage("one", "true")), outcome(peak_memory_bytes=2**33))
    run_stages(made, UNLIMITED)
    (run,) = made.record()["stages"]
    assert (run["seconds"], run["cpu_seconds"], run["peak_memory_bytes"]) == (10.0, 4.0, 2**33)
    assert (run["started"], run["finished"]) == ("2026-11-01T02:00:00Z", "2026-11-01T02:00:10Z")


def test_the_first_failure_ends_the_build_and_says_why(build):
    made = build(
        stage("one", "seq 1 50; echo no room >&2; exit 3"), stage("two", "touch never-reached")
    )
    failure = fails(made)
    assert failure.part == "one"
    assert "exit code 3" in str(failure)
    assert failure.excerpt[-1] == "no room"
    assert len(failure.excerpt) == 30
    assert not (made.workspace / "never-reached").exists()
    assert made.record()["failed_stage"] == "one"
    assert [run["exit_code"] for run in made.record()["stages"]] == [3]
    assert events(made)[-1] == ("end", "one", "failed")


def test_a_failure_without_a_word_is_still_a_reason(build):
    failure = fails(build(stage("one", "exit 4")))
    assert failure.excerpt == [str(failure)]
    assert "exit code 4" in str(failure)


def test_a_stage_may_be_tried_again(build):
    again = "echo go >> tries; [ $(wc -l < tries) -ge 2 ] || exit 7"
    made = build(stage("one", again, retries=2))
    run_stages(made, UNLIMITED)
    (run,) = made.record()["stages"]
    assert (run["result"], run["attempts"]) == ("ok", 2)
    notes = [text for event, text, _ in events(made) if event not in ("begin", "end")]
    assert notes == ["one: attempt 1 of 3 ended with exit code 7; trying again"]


def test_tries_end(build):
    made = build(stage("one", "echo go >> tries; exit 7", retries=2))
    fails(made)
    assert (made.workspace / "tries").read_text() == "go\n" * 3
    assert made.record()["stages"][0]["attempts"] == 3


def test_the_cost_is_that_of_all_attempts(build):
    made, _ = with_outcomes(
        build(stage("one", "x", retries=1)),
        outcome("failed", peak_memory_bytes=5000),
        outcome(started=datetime(2026, 11, 1, 2, 1, tzinfo=timezone.utc)),
    )
    run_stages(made, UNLIMITED)
    (run,) = made.record()["stages"]
    assert (run["seconds"], run["cpu_seconds"], run["peak_memory_bytes"]) == (20.1, 8.0, 5000)
    assert run["started"] == "2026-11-01T02:00:00Z"


@pytest.mark.parametrize("result", ["timeout", "full", "too-big", "not-started"])
def test_what_another_try_cannot_help_is_not_tried_again(build, result):
    made, sandbox = with_outcomes(build(stage("one", "x", retries=3)), outcome(result))
    fails(made)
    assert len(sandbox.tasks) == 1


def test_attempts_share_the_time_limit(build, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    made, sandbox = with_outcomes(
        build(stage("one", "x", retries=5, time_limit=60)), *[outcome("failed")] * 6
    )
    run = sandbox.run

    def slow(task):
        clock[0] += 25
        return run(task)

    sandbox.run = slow
    fails(made)
    assert [task.time_limit for task in sandbox.tasks] == [60, 35, 10]


def test_a_try_that_could_only_begin_after_the_limit_is_none(build, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(stages, "RETRY_PAUSE_SECONDS", 10)
    made, sandbox = with_outcomes(build(stage("one", "x", retries=5)), outcome("failed"))
    run = sandbox.run

    def slow(task):
        clock[0] += 55
        return run(task)

    sandbox.run = slow
    fails(made)
    assert len(sandbox.tasks) == 1


def test_the_streams_deadline_bounds_a_stage_and_is_named(build):
    made, sandbox = with_outcomes(
        build(stage("one", "x", time_limit=600)), outcome("timeout", exit_code=None)
    )
    failure = fails(made, Limits(0, int(time.time()) + 100))
    assert 90 <= sandbox.tasks[0].time_limit <= 100
    assert "left of the time limit of the stream" in str(failure)
    assert made.record()["stages"][0]["result"] == "timeout"


def test_a_deadline_that_has_passed_ends_a_stage_at_once(build):
    failure = fails(build(stage("one", "sleep 60")), Limits(0, int(time.time()) - 100))
    assert "left of the time limit of the stream" in str(failure)


def test_a_stages_own_limit_is_not_blamed_on_the_stream(build):
    made = build(stage("one", "sleep 60", time_limit=1))
    failure = fails(made, Limits(0, int(time.time()) + 100))
    assert "1 second" in str(failure)
    assert "the stream" not in str(failure)


def test_limits_and_environment_reach_the_sandbox(build):
    made, sandbox = with_outcomes(
        build(
            stage("one", "x", chdir="std", network=True, environment={"A": "stage"}),
            stage("two", "x"),
            environment={"A": "profile", "B": 3},
            max_gb=5,
        ),
        *[outcome()] * 2,
    )
    made.paths.etc.mkdir(exist_ok=True)
    made.paths.environment.write_text("https_proxy=http://proxy.example.org:3128\n")
    run_stages(made, Limits(1234, 0))
    one, two = sandbox.tasks
    assert one.environment == {
        "https_proxy": "http://proxy.example.org:3128",
        "A": "stage",
        "B": "3",
    }
    assert two.environment == {"A": "profile", "B": "3"}
    assert (one.network, two.network) == (True, False)
    assert (one.chdir, two.chdir) == (made.workspace / "std", made.workspace)
    assert (one.min_free_bytes, one.max_bytes) == (1234, 5 * 10**9)


def test_a_stage_that_may_fail_is_missing_and_the_build_goes_on(build):
    made = build(
        stage("images", "exit 1", on_failure="degrade", missing="container images"),
        stage("two", "touch reached"),
    )
    run_stages(made, UNLIMITED)
    record = made.record()
    assert record["missing"] == ["container images"]
    assert [run["result"] for run in record["stages"]] == ["degraded", "ok"]
    assert record["failed_stage"] is None
    assert (made.workspace / "reached").exists()


def test_a_resumed_build_repeats_what_carries_its_id(build):
    made = build(
        stage("id", "echo id >> ran", carries_id=True),
        stage("one", "echo one >> ran"),
        stage("two", "echo two >> ran"),
    )
    run_stages(replace(made, from_stage="two"), UNLIMITED)
    assert (made.workspace / "ran").read_text() == "id\ntwo\n"
    runs = made.record()["stages"]
    assert [(run["name"], run["result"]) for run in runs] == [
        ("id", "ok"),
        ("one", "skipped"),
        ("two", "ok"),
    ]
    assert (runs[1]["log"], runs[1]["attempts"], runs[1]["started"]) == (None, 0, None)


def test_resumed_from_the_checks_no_stage_runs(build):
    made = build(stage("one", "touch ran"))
    run_stages(replace(made, from_stage="sanity"), UNLIMITED)
    assert [run["result"] for run in made.record()["stages"]] == ["skipped"]


def test_the_excerpt_is_of_this_run_alone(build):
    """The log of a build that is resumed begins with what its parent wrote."""
    made = build(stage("one", "echo today; exit 1"))
    made.logs.mkdir(parents=True)
    (made.logs / "one.log").write_text("yesterday\n")
    assert fails(made).excerpt == ["today"]
    assert (made.logs / "one.log").read_text() == "yesterday\ntoday\n"


def test_an_excerpt_is_text_that_a_page_can_show(build):
    """Progress bars, colours and stray bytes would spoil the record."""
    script = r"printf '10%%\r20%%\r30%%\n\033[31mred\033[0m \377\n%s\n' $(seq -s, 999); exit 1"
    lines = fails(build(stage("one", script))).excerpt
    assert lines[0] == "30%"
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) == 500


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_a_log_that_leads_out_is_not_quoted(build, tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_text("the publishing key\n")
    plant = {
        "link": f"ln -sf {secret} logs/one.log",
        "directory": f"mv logs old; mkdir {tmp_path}/out; ln -s {tmp_path}/out logs;"
        f" cp {secret} logs/one.log",
        "fifo": "rm logs/one.log; mkfifo logs/one.log",
    }[kind]
    failure = fails(build(stage("one", f"{plant}; exit 1")))
    assert failure.excerpt == [str(failure)]


BROKEN = (
    "mkdir -p std/results/{0}; echo '{1}' > std/results/{0}/build.log; touch std/results/{0}/fail"
)


def test_a_package_that_does_not_compile_is_named_with_its_error(build):
    """A larger package that still builds writes the last lines of the log."""
    script = "; ".join(
        [
            "mkdir -p std/results/kernel-4",
            "echo fine > std/results/kernel-4/build.log",
            BROKEN.format("zlib-1", "gcc -c x.c\nx.c:3:1: error: expected ;\nmake: *** Error 1"),
            "seq 1 60",
            "exit 1",
        ]
    )
    made = build(stage("packages", script, log_files=["std/results/**/*.log"]))
    failure = fails(made)
    first = "zlib-1: x.c:3:1: error: expected ;"
    assert str(failure).endswith(f"exit code 1: {first}")
    assert failure.excerpt[0] == first
    assert failure.excerpt[-1] == "60"
    assert len(failure.excerpt) == 30


def test_every_package_that_failed_is_named_and_the_last_lines_stay(build):
    broken = [BROKEN.format(f"p{number:02}", "x: error: y") for number in range(40)]
    script = "; ".join([*broken, "seq 1 60", "exit 1"])
    failure = fails(build(stage("packages", script, log_files=["std/results/*/*.log"])))
    assert failure.excerpt[:2] == ["p00: x: error: y", "p01: x: error: y"]
    assert failure.excerpt[9:11] == ["p09: x: error: y", "41"]
    assert len(failure.excerpt) == 30


def test_the_reason_is_in_root_log_or_in_the_marker_if_no_compiler_spoke(build):
    script = (
        "mkdir -p r/a r/b r/c; touch r/a/build.log r/b/build.log r/c/build.log;"
        "echo 'Error: nothing provides libx' > r/a/root.log; touch r/a/fail;"
        "echo 'killed by the time limit' > r/b/fail; touch r/c/fail; exit 1"
    )
    failure = fails(build(stage("packages", script, log_files=["r/*/*.log"])))
    assert failure.excerpt[:3] == [
        "a: Error: nothing provides libx",
        "b: killed by the time limit",
        "c: it did not build",
    ]


def test_a_package_that_failed_in_an_earlier_run_is_not_blamed(build):
    made = build(stage("packages", "exit 1", log_files=["std/results/*/*.log"]))
    old = made.workspace / "std/results/zlib-1"
    old.mkdir(parents=True)
    (old / "build.log").write_text("error: x")
    (old / "fail").write_text("")
    os.utime(old / "fail", (time.time() - 3600,) * 2)
    assert "zlib" not in str(fails(made))


def test_hostile_names_and_links_of_package_logs_close_the_build_all_the_same(build, tmp_path):
    (tmp_path / "secret").write_text("error: the publishing key\n")
    script = (
        'd="r/$(printf "evil\\033[31m\\nname")"; mkdir -p "$d" r/zlib;'
        f'ln -s {tmp_path}/secret "$d/build.log"; ln -s {tmp_path}/secret "$d/fail";'
        "touch r/zlib/build.log; mkfifo r/zlib/fail r/zlib/root.log; exit 1"
    )
    made = build(stage("packages", script, log_files=["r/*/*.log"]))
    failure = fails(made)
    assert "publishing key" not in "\n".join([str(failure), *failure.excerpt])
    with pytest.raises(PartFailed), made.part("packages"):
        raise failure
    closed = close_failure(made, "")
    assert all(line.isprintable() for line in closed["excerpt"])
    assert records.check(made.record())
