"""What people write into an inventory is checked before a host is touched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An option that names the directory of the demo's key, which the demo makes."""
    directory = tmp_path_factory.mktemp("demo")
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "id_ed25519"]
    subprocess.run(command, check=True)
    return f"-edemo_ssh_dir={directory}"


def _check(inventory: Path, *arguments: str) -> tuple[int, str]:
    """Run what provisioning begins with; it connects to no host."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", inventory, "playbooks/check_inventory.yml"),
            *arguments,
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("inventory", ["demo", "example"])
def test_our_own_inventories_pass(inventory: str, tmp_path: Path, demo_key: str) -> None:
    extra = tmp_path / "vault.yml"
    # What a site's vault would hold.
    extra.write_text("".join(f"{name}: secret\n" for name in _vault_names()), encoding="utf-8")
    code, output = _check(PROJECT / "inventories" / inventory, "-e", f"@{extra}", demo_key)
    assert code == 0, output


def test_a_secret_that_no_vault_holds_is_named() -> None:
    """In the example as it is copied: provisioning would stop half-way for want of it."""
    code, output = _check(PROJECT / "inventories/example")
    assert code != 0
    for expected in (
        "mail.yml:6: mail_relay_password refers to vault_mail_relay_password, which is set nowhere",
        "build_env.yml:3: build_env_signing_key refers to vault_build_env_signing_key",
        "hardening.yml:9: hardening_sysctl_boot_password refers to ",
        "put it into a vault beside (docs/secrets.md), or take mail_relay_password out",
    ):
        assert expected in output


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("scheduler.yml", "scheduler_variables: [a]", "scheduler_variables is a list: write a map"),
        ("build_env.yml", "build_env_mirrors: mirror", "build_env_mirrors is a text: write a list"),
        ("build_env.yml", "build_env_mirrors: [m]", "build_env_mirrors[0] is a text: write a map"),
    ],
)
def test_the_wrong_type_spoils_no_other_check(
    tmp_path: Path, demo_key: str, file: str, text: str, problem: str
) -> None:
    inventory = tmp_path / "site"
    shutil.copytree(PROJECT / "inventories/demo", inventory)
    (inventory / "group_vars/build_hosts" / file).write_text(f"{text}\n", encoding="utf-8")
    code, output = _check(inventory, demo_key)
    assert code != 0
    assert f"{file}:1: {problem}" in output
    assert "has no attribute" not in output


def _vault_names() -> set[str]:
    names = set()
    for path in (PROJECT / "inventories/example").rglob("*.yml"):
        for word in path.read_text(encoding="utf-8").replace("}", " ").split():
            if word.startswith("vault_"):
                names.add(word)
    return names


def test_every_mistake_is_named_with_its_place_and_what_to_write(
    tmp_path: Path, demo_key: str
) -> None:
    inventory = tmp_path / "site"
    shutil.copytree(PROJECT / "inventories/demo", inventory)
    mistakes = inventory / "group_vars/build_hosts/mistakes.yml"
    mistakes.write_text(
        "build_env_secure_loging: true\n"
        "build_env_repo_source: git\n"
        "scheduler_keep_versions: '3'\n"
        "packages_extra: vim\n"
        "registry_port: 5000\n",
        encoding="utf-8",
    )
    (inventory / "group_vars/build_hosts/scheduler.yml").write_text(
        "scheduler_variables:\n  publish_hots: mirror\n  publish_attempts: three\n"
        "registry_port: 5001\n",
        encoding="utf-8",
    )
    (inventory / "group_vars/build_hots").mkdir()
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/nowhere.yml").write_text("{}\n", encoding="utf-8")
    (inventory / "hosts.yml").write_text(
        (inventory / "hosts.yml")
        .read_text(encoding="utf-8")
        .replace("ansible_host: stx-demo-builder", "mirror_host_titel: x"),
        encoding="utf-8",
    )
    code, output = _check(inventory, "-e", "streems=none", demo_key)
    assert code != 0
    for expected in (
        "mistakes.yml:1: nothing reads build_env_secure_loging: write build_env_secure_logging",
        "mistakes.yml:2: build_env_repo_source is 'git': write one of pypi, package",
        "mistakes.yml:3: scheduler_keep_versions is a text: write a whole number, without quotes",
        "mistakes.yml:4: packages_extra is a text: write a list",
        "scheduler.yml:2: nothing reads publish_hots: write publish_host",
        "scheduler.yml:3: publish_attempts is a text: write a whole number, without quotes",
        "scheduler.yml:4: registry_port is set in ",
        "mistakes.yml:5 for build_hosts too, and one of them is not read: keep one",
        "build_hots: is never read, there is no group build_hots in the inventory: "
        "rename it to build_hosts",
        "nowhere.yml: is never read, there is no host nowhere",
        "hosts.yml:7: nothing reads mirror_host_titel: write mirror_host_title",
        "the command line (-e): nothing reads streems: write streams",
    ):
        assert expected in output
    assert "TASK [Gathering Facts]" not in output


def test_a_value_that_cannot_be_worked_out_is_named(tmp_path: Path) -> None:
    code, output = _check(PROJECT / "inventories/demo", f"-edemo_ssh_dir={tmp_path}")
    assert code != 0
    assert "people.yml:3: users_admins cannot be worked out: " in output
    assert "id_ed25519.pub" in output


def test_what_a_type_cannot_say_is_judged_before_a_host_is_asked(
    tmp_path: Path, demo_key: str
) -> None:
    inventory = tmp_path / "site"
    shutil.copytree(PROJECT / "inventories/demo", inventory)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP5+4q4lXr76uR86JiFaD43VCEzp5rPk1PvKKVt30hns anna"
    everybody = inventory / "group_vars/all"
    (everybody / "people.yml").write_text(
        "---\nusers_admins:\n"
        f"  - {{name: anna, full_name: Anna, keys: [{key}], teams: [build]}}\n"
        f"  - {{name: anna, full_name: Anna, keys: [{key}], teams: [build]}}\n"
        "  - name: ben\n    full_name: Ben\n    teams: [security]\n    keys:\n"
        "      - '-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjE-its-secret'\n",
        encoding="utf-8",
    )
    (everybody / "hardening.yml").write_text(
        'hardening_admin_networks: ["0.0.0.0/0"]\n', encoding="utf-8"
    )
    (inventory / "group_vars/build_hosts/scheduler.yml").write_text(
        "---\nscheduler_variables: {publish_host: mirror, publish_port: 2222}\n", encoding="utf-8"
    )
    (everybody / "streams.yml").write_text(
        "---\nstreams:\n  - {name: master, match: master, profil: sample}\n", encoding="utf-8"
    )
    code, output = _check(inventory, demo_key)
    assert code != 0
    for expected in (
        "people.yml:2: users_admins: anna is listed twice: put all keys and teams into one entry",
        "people.yml:2: users_admins: ben: key 1 is a private key: take it out",
        "hardening.yml:1: hardening_admin_networks: 0.0.0.0/0 is everybody",
        "or say hardening_admin_networks_open: true",
        "streams.yml:2: streams: the streams have ",
        "scheduler.yml:2: scheduler_variables: publish_host is mirror, and build_env_mirrors has "
        "no [mirror]:2222, so that publishing would be refused: write mirror instead, or add an",
    ):
        assert expected in output
    assert "its-secret" not in output

    (everybody / "hardening.yml").write_text(
        'hardening_admin_networks: ["0.0.0.0/0"]\nhardening_admin_networks_open: true\n',
        encoding="utf-8",
    )
    assert "is everybody" not in _check(inventory, demo_key)[1]
