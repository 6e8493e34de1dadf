"""A mistake in any file of an inventory is named once, with the file and the line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECRET = "hunter2-in-the-vault"  # noqa: S105


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The demo's inventory, and the key that it reads."""
    shutil.copytree(PROJECT / "inventories/demo", tmp_path / "site")
    (tmp_path / "id_ed25519.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP5+4q4lXr76uR86JiFaD43VCEzp5rPk1PvKKVt30hns anna\n",
        encoding="utf-8",
    )
    return tmp_path / "site"


def play(inventory: Path, *arguments: str, playbook: str = "check_inventory.yml") -> str:
    """Run a playbook that must fail; return what it says before Ansible says it again."""
    command = [BIN / "ansible-playbook", "-i", inventory, f"playbooks/{playbook}"]
    done = subprocess.run(
        [*command, f"-edemo_ssh_dir={inventory.parent}", *arguments],
        cwd=PROJECT,
        # Ansible puts ansible-vault's own messages and ours beside each other.
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert "PLAY [What every host has" not in done.stdout
    return done.stdout.partition("\nfatal: ")[0]


def assert_once(output: str, expected: tuple[str, ...]) -> None:
    for text in expected:
        assert output.count(text) == 1, f"{text!r} is there {output.count(text)} times:\n{output}"


def encrypt(path: Path, text: str, password: Path) -> None:
    path.write_text(text, encoding="utf-8")
    command = [BIN / "ansible-vault", "encrypt", "--vault-password-file", password, path]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("playbook", ["check_inventory.yml", "provision.yml"])
def test_a_file_that_cannot_be_read_stops_everything(inventory: Path, playbook: str) -> None:
    """Ansible ends without its name, or goes on without its hosts and succeeds."""
    group_vars = inventory / "group_vars"
    for name, text in {
        "hosts.yml": "\tbuild_hosts:\n",
        "more.yml": "mirrors:\n  hosts: [a, b]\n",
        "more.ini": "[mirrors]\na\n[mirrors:vars]\nnonsense\n",
        "group_vars/build_hosts/tab.yml": "a: 1\n\tb: 2\n",
        "group_vars/all/flow.yml": "a: [1\nb: 2\n",
        "group_vars/all/list.yml": "---\n- a\n",
        "group_vars/mirrors/tag.yml": "a: 1\nb: !nonsense x\n",
        "group_vars/mirrors/control.yml": "a: 1\nb: \x01\n",
        "script": "#!/bin/sh\nexit 3\n",
    }.items():
        (inventory / name).write_text(text, encoding="utf-8")
    (group_vars / "mirrors/latin.yml").write_bytes(b"a: \xe9\n")
    (inventory / "script").chmod(0o755)
    assert_once(
        play(inventory, playbook=playbook),
        (
            "/hosts.yml:1: has a tab where YAML takes spaces only",
            '/more.yml:1: is no inventory (Invalid "hosts" entry for "mirrors" group',
            "/more.ini:4: is no inventory (Expected key=value, got: nonsense)",
            "/build_hosts/tab.yml:2: has a tab where YAML takes spaces only",
            "/all/flow.yml:2: is no YAML (expected ',' or ']', but got ':')",
            "/all/list.yml:2: has no variables: write `name: value` for group all",
            "/mirrors/tag.yml:2: is nothing that Ansible can read (could not determine a ",
            "/mirrors/control.yml:2: has the character U+0001, which YAML does not allow",
            "/mirrors/latin.yml:1: has the byte 0xe9, no UTF-8, which YAML does not allow",
            "/script: gives no inventory (Inventory script returned non-zero exit code 3): run",
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "does not exist: name your inventory, such as -i inventories/mysite"),
        ("build_hots: {hosts: {a: }}\n", "rename group build_hots to build_hosts"),
        ("all: {hosts: {a: }}\n", "list them as inventories/example/hosts.yml does"),
    ],
)
def test_no_hosts_are_an_error(tmp_path: Path, text: str | None, problem: str) -> None:
    """Ansible says that no hosts matched, and exits with 0."""
    hosts = tmp_path / "hosts.yml"
    if text is not None:
        hosts.write_text(text, encoding="utf-8")
    assert_once(play(hosts), (problem,))


def test_inventories_of_every_kind_are_looked_at(inventory: Path) -> None:
    (inventory / "more.ini").write_text(
        "# hosts\n[build_hosts]\nb[1:3] scheduler_keep_version=3\n\n"
        "[mirrors]\n[mirrors:vars]\nmirror_host_stor = /x\n",
        encoding="utf-8",
    )
    script = inventory / "cloud"
    script.write_text(
        "#!/bin/sh\ncat <<END\n"
        '{"mirrors": {"hosts": ["m1", "m2"], "vars": {"mirror_host_titel": "x"}},\n'
        ' "_meta": {"hostvars": {"m1": {"packages_extr": []}, "m2": {"packages_extr": []}}}}\n'
        "END\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    assert_once(
        play(inventory),
        (
            "/more.ini:3: nothing reads scheduler_keep_version: write scheduler_keep_versions",
            "/more.ini:7: nothing reads mirror_host_stor: write mirror_host_store",
            "/cloud (group mirrors): nothing reads mirror_host_titel: write mirror_host_title",
            "/cloud (host m1 and 1 more): nothing reads packages_extr: write packages_extra",
        ),
    )


def test_a_variable_is_named_where_no_role_reads_it(inventory: Path) -> None:
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/builder.yml").write_text("registry_port: 5000\n", encoding="utf-8")
    (inventory / "group_vars/build_hosts/more.yml").write_text(
        "mirror_host_title: x\npublish_attempts: 3\n"
        # Read by another variable of these hosts.
        "mirror_host_store: /x\npackages_extra: ['a{{ mirror_host_store | basename }}']\n",
        encoding="utf-8",
    )
    (inventory / "group_vars/mirrors.yml").write_text("mirror_host_title: y\n", encoding="utf-8")
    output = play(inventory)
    assert_once(
        output,
        (
            "more.yml:1: mirror_host_title is read on hosts of group mirrors alone, and group "
            "build_hosts has nothing to do with it: move it to group_vars/mirrors",
            "more.yml:2: publish_attempts is read by builds, out of scheduler_variables alone: "
            "write it there",
            "builder.yml:1: registry_port is read on hosts of group registries alone",
            "group_vars/mirrors.yml: is never read, because ",
        ),
    )
    assert "mirror_host_store is read" not in output


def test_a_reference_to_nothing_and_a_profile_that_is_not_there(inventory: Path) -> None:
    """On two hosts, so that each is named once."""
    everybody = inventory / "group_vars/all"
    (everybody / "more.yml").write_text(
        "packages_extra:\n  - '{{ no_such_thing }}'\n"
        "mail_relay_host: '{{ site_relay }}'\n"
        "site_relay: 'mail.{{ site_domian }}'\n"
        "site_domain: example.org\n"
        "users_groups: '{{ streams[0].nothing }}'\n"
        # What only the hosts can say is not asked for.
        "mail_relay_origin: '{{ ansible_facts.fqdn }}'\n"
        "mail_relay_user: '{{ site_of_builders }}'\n",
        encoding="utf-8",
    )
    (inventory / "group_vars/build_hosts/more.yml").write_text(
        "site_of_builders: x\n", encoding="utf-8"
    )
    streams = (everybody / "streams.yml").read_text(encoding="utf-8").splitlines()
    line = streams.index("    profile: sample")
    streams[line] = "    profile: sampel"
    (everybody / "streams.yml").write_text("\n".join(streams), encoding="utf-8")
    output = play(inventory)
    assert_once(
        output,
        (
            "more.yml:1: packages_extra refers to no_such_thing, which is set nowhere",
            "more.yml:4: site_relay refers to site_domian, which is set nowhere: write site_domain",
            "more.yml:6: users_groups cannot be worked out: object of type 'dict' has no attribute",
            "more.yml:8: mail_relay_user refers to site_of_builders, which is not set for every",
            f"streams.yml:{line + 1}: streams: stream master: there is no file "
            "profiles/sampel.yml: write sample",
        ),
    )
    assert "mail_relay_origin" not in output


def test_vaults_are_opened_with_a_password_and_named_without(inventory: Path) -> None:
    password = inventory.parent / "password"
    password.write_text("secret\n", encoding="utf-8")
    encrypt(inventory / "group_vars/all/vault.yml", "packages_extr: []\n", password)
    # No host is in this group.
    (inventory / "hosts.yml").write_text(
        "build_hosts: {hosts: {builder: }}\nmirrors: {hosts: {mirror: }}\nregistries: {hosts: }\n",
        encoding="utf-8",
    )
    encrypt(inventory / "group_vars/registries/vault.yml", "a: b\n", password)
    output = play(inventory)
    assert_once(output, ("all/vault.yml: is encrypted, and no password was given that opens it",))
    assert "registries/vault.yml is encrypted, so that nobody checks what it says" in output
    output = play(inventory, "--vault-password-file", str(password))
    assert_once(output, ("all/vault.yml:1: nothing reads packages_extr: write packages_extra",))


def test_a_secret_is_not_repeated(inventory: Path) -> None:
    password = inventory.parent / "password"
    password.write_text("secret\n", encoding="utf-8")
    command = [BIN / "ansible-vault", "encrypt_string", "--vault-password-file", password]
    for name in ("build_env_container_engine", "site_secret"):
        done = subprocess.run(
            [*command, "--name", name, SECRET], check=True, capture_output=True, text=True
        )
        with (inventory / "group_vars/all/secrets.yml").open("a", encoding="utf-8") as file:
            file.write(f"{done.stdout}\n")
    (inventory / "group_vars/all/more.yml").write_text(
        "build_env_size_check: '{{ site_secret }}'\n", encoding="utf-8"
    )
    assert_once(
        play(inventory),
        (
            "more.yml:1: build_env_size_check needs a value that is encrypted, and no password",
            "secrets.yml:1: build_env_container_engine needs a value that is encrypted",
        ),
    )
    output = play(inventory, "--vault-password-file", str(password))
    assert_once(
        output,
        (
            "more.yml:1: build_env_size_check is none of its choices: write one of refuse, warn",
            "secrets.yml:1: build_env_container_engine is none of its choices: write one of podman",
        ),
    )
    assert SECRET not in output


def test_a_limit_leaves_no_check_out(inventory: Path) -> None:
    (inventory / "group_vars/mirrors/more.yml").write_text(
        "mirror_host_titel: x\n", encoding="utf-8"
    )
    assert_once(play(inventory, "--limit", "builder"), ("nothing reads mirror_host_titel",))


def test_syntax_can_be_checked_without_an_inventory() -> None:
    command = [BIN / "ansible-playbook", "--syntax-check", "playbooks/provision.yml"]
    environment = {**os.environ, "ANSIBLE_INVENTORY": "/nonexistent"}
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True)


def test_more_keys_than_a_host_takes_are_told_before_it_is_hardened(
    inventory: Path, tmp_path: Path
) -> None:
    """sshd closes the connection before the right key is offered, and says too many failures."""
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/mirror.yml").write_text(
        "ansible_ssh_common_args: -o IdentitiesOnly=yes\n", encoding="utf-8"
    )
    (inventory / "host_vars/builder.yml").write_text(
        f"ansible_ssh_common_args: -F {tmp_path}/ssh_config\n", encoding="utf-8"
    )
    (tmp_path / "ssh_config").write_text("", encoding="utf-8")
    made = (
        "for key in 1 2 3 4 5; do ssh-keygen -q -t ed25519 -N '' -f k$key; ssh-add -q k$key; done"
    )
    check = f"{BIN}/ansible-playbook -i {inventory} {PROJECT}/playbooks/check_inventory.yml"
    done = subprocess.run(
        ["ssh-agent", "sh", "-c", f"{made}; {check} -e demo_ssh_dir={tmp_path}"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "COLUMNS": "1000"},
        check=True,
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    assert output.count("your ssh agent offers 5 keys, and builder will end a connection") == 1
