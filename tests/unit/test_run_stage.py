"""The module that runs a stage, run for real: as Ansible starts it, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from module_call import command


def start(tmp_path: Path, script: str, **arguments) -> subprocess.Popen[str]:
    """Start the module on a small shell script that is its stage."""
    program = tmp_path / "stage.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    given = {
        "command": [str(program)],
        "chdir": str(tmp_path),
        "log": str(tmp_path / "log"),
        "time_limit": 60,
        **arguments,
    }
    process = subprocess.Popen(
        command("run_stage", given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LEAKED": "yes"},
    )
    return process


def run(tmp_path: Path, script: str, **arguments) -> dict:
    """Run the module to its end and return what it says."""
    output, errors = start(tmp_path, script, **arguments).communicate(timeout=60)
    assert output.strip(), errors
    return json.loads(output)


def log(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text()


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(pid_file: Path) -> bool:
    """Whether the process that wrote its id there still runs (a zombie does not)."""
    try:
        state = Path("/proc", str(int(pid_file.read_text())), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_a_success_says_what_it_cost(tmp_path):
    """A build record carries these, so that the next run knows what to expect."""
    done = run(tmp_path, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo made it")
    assert done["result"] == "ok"
    assert done["exit_code"] == 0
    assert done["attempts"] == 1
    assert not done["failed"]
    assert done["excerpt"] == ["made it"]
    assert 0 < done["cpu_seconds"] <= done["seconds"] + 0.2
    assert 1024 * 1024 < done["peak_memory_bytes"] < 2**33
    assert done["started"] <= done["finished"]


def test_a_failure_says_why(tmp_path):
    done = run(tmp_path, "seq 1 50; echo no room >&2; exit 3")
    assert done["failed"]
    assert done["result"] == "failed"
    assert done["exit_code"] == 3
    assert done["excerpt"][-2:] == ["no room", f"== {done['msg']}"]
    assert "exit code 3" in done["msg"]
    assert len(done["excerpt"]) == 30


def test_output_can_be_followed_while_it_comes(tmp_path):
    """A stage of three hours that shows nothing until its end cannot be judged."""
    process = start(tmp_path, "echo first; while [ ! -e go ]; do sleep 0.05; done")
    wait_for(lambda: (tmp_path / "log").exists() and "first\n" in log(tmp_path))
    assert process.poll() is None
    (tmp_path / "go").touch()
    assert process.wait(10) == 0


def test_log_is_appended_to_and_the_excerpt_is_of_this_run_alone(tmp_path):
    run(tmp_path, "echo yesterday")
    assert run(tmp_path, "echo today; exit 1")["excerpt"][0] == "today"
    assert log(tmp_path).startswith("yesterday\ntoday\n")


def test_time_out_ends_the_whole_tree_with_its_daemons(tmp_path):
    """A daemon in a session of its own that ignores SIGTERM is the hardest to get rid of."""
    done = run(
        tmp_path,
        'setsid sh -c \'trap "" TERM; echo $$ > daemon; (setsid sleep 61 & echo $! > orphan);'
        " while :; do sleep 0.1; done' >/dev/null 2>&1 </dev/null &\n"
        "while [ ! -s orphan ]; do sleep 0.05; done; echo waiting; sleep 62",
        time_limit=2,
    )
    assert done["result"] == "timeout"
    assert done["failed"]
    assert "time limit of 2 s" in done["msg"]
    assert 2 <= done["seconds"] < 20
    assert not alive(tmp_path / "daemon")
    assert not alive(tmp_path / "orphan")


def test_time_out_lets_a_stage_tidy_up(tmp_path):
    done = run(tmp_path, "trap 'echo tidied; exit 0' TERM; sleep 60 & wait", time_limit=1)
    assert done["result"] == "timeout"
    assert "tidied\n" in log(tmp_path)


def test_a_time_out_is_not_tried_again(tmp_path):
    done = run(tmp_path, "echo go >> tries; sleep 60", time_limit=1, retries=3)
    assert done["result"] == "timeout"
    assert (tmp_path / "tries").read_text() == "go\n"


def test_what_a_finished_stage_left_running_ends_with_it(tmp_path):
    done = run(tmp_path, "(setsid sleep 60 & echo $! > left); exit 0")
    assert done["result"] == "ok"
    assert done["seconds"] < 10
    assert not alive(tmp_path / "left")


def test_a_retry_may_succeed(tmp_path):
    done = run(tmp_path, "echo go >> tries; [ $(wc -l < tries) -ge 2 ] || exit 7", retries=2)
    assert done["result"] == "ok"
    assert done["attempts"] == 2
    assert "== attempt 1 of 3 ended with exit code 7" in log(tmp_path)


def test_killing_the_module_ends_the_command(tmp_path):
    """SIGKILL gives it no chance to do so itself: the kernel does."""
    process = start(tmp_path, "echo $$ > pid; exec sleep 60")
    wait_for(lambda: (tmp_path / "pid").exists() and alive(tmp_path / "pid"))
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    wait_for(lambda: not alive(tmp_path / "pid"))


def test_terminating_the_module_ends_the_tree(tmp_path):
    process = start(tmp_path, "sleep 60 & echo $! > pid; wait")
    wait_for(lambda: (tmp_path / "pid").exists() and alive(tmp_path / "pid"))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert "SIGTERM" in json.loads(output)["msg"]
    assert not alive(tmp_path / "pid")


def test_the_environment_is_the_stages_own(tmp_path):
    """What the person who starts a build has set must not change the build."""
    done = run(
        tmp_path,
        "env; stat -c %a made",
        environment={"MY_WORKSPACE": "/w", "EMPTY": None, "NUMBER": 3},
        command=["sh", "-c", "touch made; ./stage.sh"],
    )
    lines = done["excerpt"]
    assert "MY_WORKSPACE=/w" in lines
    assert "EMPTY=" in lines
    assert "NUMBER=3" in lines
    assert "LANG=C.UTF-8" in lines
    assert "TZ=UTC" in lines
    assert not [line for line in lines if line.startswith(("LEAKED", "ANSIBLE"))]
    assert lines[-1] == "644"


def test_arguments_reach_the_command_as_they_are(tmp_path):
    trick = "$(touch owned); `touch owned` * ' \" \\"
    done = run(tmp_path, 'printf "%s\\n" "$@"', command=[str(tmp_path / "stage.sh"), trick])
    assert done["excerpt"] == [trick]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"command": ["no-such-tool"]}, ["no-such-tool was not found", "PATH in the profile"]),
        ({"command": ["./stage.sh"], "chdir": "/"}, ["./stage.sh was not found in /"]),
        ({"command": ["/etc/passwd"]}, ["/etc/passwd was not found"]),
        ({"chdir": "/no/such/place"}, ["/no/such/place does not exist"]),
        ({"min_free_bytes": 2**62}, ["MB free", "stx-mirror prune"]),
    ],
)
def test_a_stage_that_cannot_start_fails_with_one_clear_reason(tmp_path, arguments, words):
    done = run(tmp_path, "echo never", **arguments)
    assert done["result"] == "failed"
    assert done["exit_code"] == 127
    assert done["attempts"] == 0
    for word in words:
        assert word in done["msg"]
        assert word in done["excerpt"][-1]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"command": []}, "command is empty"),
        ({"time_limit": 0}, "time_limit must be"),
        ({"log": "/no/such/place/log"}, "directory of the log"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, word):
    done = run(tmp_path, "echo never", **arguments)
    assert done["failed"]
    assert "result" not in done
    assert word in done["msg"]


def test_check_mode_starts_nothing(tmp_path):
    done = run(tmp_path, "touch ran", _ansible_check_mode=True)
    assert done["result"] == "skipped"
    assert not (tmp_path / "ran").exists()


def test_an_excerpt_is_text_that_a_page_can_show(tmp_path):
    """Progress bars, colours and stray bytes would spoil the record."""
    done = run(tmp_path, r"printf '10%%\r20%%\r30%%\n\033[31mred\033[0m \377\n%s\n' $(seq -s, 999)")
    assert done["excerpt"][0] == "30%"
    assert all(line.isprintable() for line in done["excerpt"])
    assert max(map(len, done["excerpt"])) == 500
