"""Every template, on every host, is understood by the program that reads it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from conftest import HOSTS, PROJECT, found_out_in_a_run, names_files

# One host for each file of names is enough.
SOME_HOSTS = ("debian12", "debian13", "ubuntu24", "rocky9")
# The building roles' templates need a build; their own scenarios have one.
PROVISIONING = {path.parent.parent.name for path in PROJECT.glob("roles/*/vars/Debian.yml")}
TEMPLATES = sorted(
    path.relative_to(PROJECT / "roles").as_posix()
    for role in PROVISIONING | {"users", "container_hosts"}
    for path in PROJECT.glob(f"roles/{role}/templates/**/*.j2")
)
# A loop's entry, where a template is rendered in one.
ITEMS = {
    "users/templates/sudoers.j2": {
        "name": "x",
        "comment": "X",
        "sudo": ["(root) NOPASSWD: /bin/id"],
    },
    "users/templates/authorized_keys.j2": {"name": "x", "authorized_keys": []},
}


def run(*command: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess:
    """Run a program, found where root finds it; skip without it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if shutil.which(str(command[0]), path=path) is None:
        pytest.skip(f"{command[0]} is not installed here")
    return subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        input=stdin,
        env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
    )


def accepted(done: subprocess.CompletedProcess) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def by_python(file: Path) -> None:
    accepted(run(sys.executable, "-m", "py_compile", file))


def by_shell(file: Path) -> None:
    accepted(run("sh", "-n", file))


def by_perl(file: Path) -> None:
    accepted(run("perl", "-c", file))


def by_yaml(file: Path) -> None:
    yaml.safe_load(file.read_text())


def by_json(file: Path) -> None:
    json.loads(file.read_text())


def by_toml(file: Path) -> None:
    tomllib.loads(file.read_text())


def by_visudo(file: Path) -> None:
    accepted(run("visudo", "--check", "--strict", f"--file={file}"))


def by_sshd(file: Path) -> None:
    key = file.with_name("hostkey")
    accepted(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
    Path("/run/sshd").mkdir(exist_ok=True)
    accepted(run("sshd", "-t", "-h", key, "-f", file))


def by_nft(file: Path) -> None:
    done = run("nft", "-c", "-f", file)
    if "Operation not permitted" in done.stderr:
        pytest.skip("nft may not look at the kernel's rules here")
    accepted(done)


def by_nginx(file: Path) -> None:
    whole = file.with_name("nginx.conf")
    whole.write_text(
        f"pid {file.parent}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; include {file}; }}\n"
    )
    accepted(run("nginx", "-t", "-q", "-c", whole))


def by_logrotate(file: Path) -> None:
    file.chmod(0o644)
    done = run("logrotate", "--debug", "--state", file.with_name("state"), file)
    # Its accounts are those of the host.
    complaints = [
        line
        for line in done.stderr.splitlines()
        if line.startswith("error:") and "unknown user" not in line and "unknown group" not in line
    ]
    assert not complaints, done.stderr


def by_systemd(file: Path) -> None:
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file)
    # The programs, and the units that they go with, are those of the host.
    elsewhere = re.compile(
        r"is not executable|not found|Failed to prepare|has no .*unit|Invalid arg"
    )
    ours = [
        line
        for line in done.stderr.splitlines()
        if file.name in line and not elsewhere.search(line)
    ]
    assert not ours, done.stderr


def by_systemd_drop_in(file: Path) -> None:
    unit = file.with_name("x.service")
    text = file.read_text()
    unit.write_text(text if "ExecStart" in text else text + "\nExecStart=/bin/true\n")
    by_systemd(unit)


# What reads a template's file: by the end of the path, the first that fits.
PROGRAMS = [
    ("sudoers.*", by_visudo),
    (r".*sshd.*(\.conf|_config)", by_sshd),
    (r".*nftables\.conf|.*\.nft", by_nft),
    (r".*nginx\.conf", by_nginx),
    (r".*logrotate.*", by_logrotate),
    (r".*\.(service|timer|socket|path)", by_systemd),
    (r"cron-utc\.conf", by_systemd_drop_in),
    (r"(containers|registries)\.conf", by_toml),
    (r"sbuild\.conf", by_perl),
    (r"site-defaults\.cfg", by_python),
    (r".*\.ya?ml", by_yaml),
    (r".*\.json", by_json),
]


def program_for(name: str, text: str):
    """The check for a file by its name, or by its first line."""
    for pattern, check in PROGRAMS:
        if re.fullmatch(pattern, name):
            return check
    first = text.splitlines()[0] if text else ""
    if first.startswith("#!/bin/sh"):
        return by_shell
    if first.startswith("#!/usr/bin/python3"):
        return by_python
    return None


@pytest.mark.parametrize("host", SOME_HOSTS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_template_is_understood(on_host, tmp_path, template, host):
    role = template.split("/")[0]
    has_names = (PROJECT / f"roles/{role}/vars/Debian.yml").is_file()
    if has_names and not names_files(role, host):
        pytest.skip("the role refuses this host")
    if not has_names and host != SOME_HOSTS[0]:
        pytest.skip("the same on every host")
    here = on_host(role, host)
    more = {"item": ITEMS[template]} if template in ITEMS else {}
    try:
        text = here.render(PROJECT / "roles" / template, **more)
    except AnsibleUndefinedVariable as error:
        later = found_out_in_a_run(role)
        if set(re.findall(r"'(\w+)' is undefined", str(error))) & later:
            pytest.skip(f"needs what only a run knows: {error}")
        raise
    except AnsibleError as error:
        pytest.fail(f"{host}: {error}")
    name = Path(template).name.removesuffix(".j2")
    check = program_for(name, text)
    if check is None:
        pytest.skip("no program here reads this kind of file")
    file = tmp_path / name
    file.write_text(text)
    check(file)


def test_every_host_is_looked_at():
    """A distribution that comes to HOSTS comes to the templates, too."""
    covered = {HOSTS[name][:2] for name in SOME_HOSTS} | {
        ("RedHat", "AlmaLinux"),
        ("RedHat", "CentOS"),
    }
    assert {host[:2] for host in HOSTS.values()} == covered
