"""No secret in plain text, and none in Ansible's output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
EXAMPLE = sorted(path for path in (PROJECT / "inventories/example").rglob("*") if path.is_file())
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir())

# What a variable with a secret is called. A public key is none; nor is a path, a switch, a number.
SECRET_NAME = re.compile(
    r"(pass(word|phrase|wd)?|secret|token|credentials?|private_key|signing_key|api_key)$"
)
SECRET_TEXT = re.compile(
    r"PRIVATE KEY(?! BLOCK-----\n +\.\.\.)|\$(1|2[aby]|5|6|y)\$|AKIA[0-9A-Z]{16}|gh[pousr]_\w{30}"
    r"|[a-z]+://[^/\s:@{]+:[^/\s:@{]+@"
)
VAULT = re.compile(r"^\{\{ vault_\w+ \}\}$")
REFERENCE = re.compile(r"^\s*#? ?(\w+): \"\{\{ (vault_\w+) \}\}\"", re.MULTILINE)


def load(path: Path):
    """A YAML file, with Ansible's own tags read as plain values."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    Loader.add_constructor("!vault", lambda loader, node: "{{ vault_inline }}")
    return yaml.load(path.read_text(), Loader)  # noqa: S506 a SafeLoader


def leaves(value, name=""):
    """Every value with the name that is next above it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, value


def plain_secrets(text: str, content) -> list[str]:
    """What looks like a secret that everybody can read."""
    found = [match.group() for match in SECRET_TEXT.finditer(text)]
    return found + [
        name
        for name, value in leaves(content)
        if SECRET_NAME.search(name) and isinstance(value, str) and value and not VAULT.match(value)
    ]


@pytest.mark.parametrize("path", EXAMPLE, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_the_example_has_no_secret_in_plain_text(path):
    text = path.read_text()
    if text.startswith("$ANSIBLE_VAULT;"):
        return
    content = load(path) if path.suffix in (".yml", ".yaml") else None
    assert plain_secrets(text, content) == []


@pytest.mark.parametrize(
    "text",
    [
        "mail_relay_password: hunter2",
        "x: {smtp: {password: hunter2}}",
        "build_env_signing_key: |\n  -----BEGIN PGP PRIVATE KEY BLOCK-----\n  lQdGBF",
        "root: $6$abc$def",
        "url: https://user:hunter2@git.example.com/x",
    ],
)
def test_a_planted_secret_is_found(text):
    assert plain_secrets(text, yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        'mail_relay_password: "{{ vault_mail_relay_password }}"',
        'mail_relay_password: ""',
        "users_max_password_days: 3",
        "keys: [ssh-ed25519 AAAA ann@laptop]",
    ],
)
def test_what_is_no_secret_is_not(text):
    assert plain_secrets(text, yaml.safe_load(text)) == []


def secret_inputs() -> set[str]:
    """Inputs that a vault fills, as the inventories, the documents and the roles' specs say."""
    texts = [p.read_text() for p in (PROJECT / "inventories").rglob("*.yml")]
    texts += [p.read_text() for p in PROJECT.glob("roles/*/README.md")]
    texts += [p.read_text() for p in PROJECT.glob("docs/*.md")]
    found = {name for text in texts for name, _ in REFERENCE.findall(text)}
    for role in ROLES:
        specs = load(PROJECT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
        for entry in specs.values():
            options = entry.get("options") or {}
            found |= {name for name, option in options.items() if option.get("no_log")}
            found |= {
                name
                for name, option in options.items()
                if SECRET_NAME.search(name) and option.get("type", "str") == "str"
            }
    return found


# The public half of it, which the mirror offers.
NOT_SECRET = {"mirror_host_signing_key"}
SECRETS = secret_inputs() - NOT_SECRET


def mentions(value, names: set[str]) -> set[str]:
    return {name for name in names if re.search(rf"(?<!\w){name}(?!\w)", str(value))}


def known_in(role: str) -> set[str]:
    """The role's secrets, and its own variables and templates that are made from them."""
    names = {name for name in SECRETS if name.startswith(f"{role}_")} | {"vault_inline"}
    variables = {}
    for path in [*(PROJECT / f"roles/{role}/vars").glob("*.yml")]:
        variables.update(load(path) or {})
    templates = {
        path.relative_to(PROJECT / f"roles/{role}/templates").as_posix(): path.read_text()
        for path in (PROJECT / f"roles/{role}/templates").rglob("*")
        if path.is_file()
    }
    grown = True
    while grown:
        before = set(names)
        names |= {
            name for name, value in variables.items() if mentions(without_tests(value), names)
        }
        names |= {name for name, text in templates.items() if mentions(shown_by(text), names)}
        grown = names != before
    return names


def without_tests(value) -> str:
    """An expression without what only asks whether a secret is there, or which one it is."""
    return re.sub(
        r"\w+ \| ((default\(''(, true)?\) \| )?length\b|hash\('sha256'\))", "", str(value)
    )


def shown_by(text: str) -> str:
    """What a template writes: its expressions, not its conditions."""
    return " ".join(re.findall(r"\{\{.*?\}\}", text, re.DOTALL))


def tasks_of(path: Path, hidden=False):
    """Every task of a file, with whether it or a block around it has `no_log`."""

    def walk(entries, hidden):
        for task in entries or []:
            closed = hidden or "no_log" in task
            parts = [key for key in ("block", "rescue", "always") if key in task]
            for part in parts:
                yield from walk(task[part], closed)
            if not parts:
                yield task, closed

    yield from walk(load(path), hidden)


def open_tasks(role: str) -> list[str]:
    names = known_in(role)
    found = []
    for directory in ("tasks", "handlers"):
        for path in sorted((PROJECT / f"roles/{role}/{directory}").rglob("*.yml")):
            for task, closed in tasks_of(path):
                rest = {key: v for key, v in task.items() if key not in ("name", "when", "tags")}
                assertion = rest.get("ansible.builtin.assert")
                if isinstance(assertion, dict):
                    rest["ansible.builtin.assert"] = {**assertion, "that": ""}
                if not closed and mentions(without_tests(rest), names):
                    found.append(f"{path.relative_to(PROJECT)}: {task.get('name')}")
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_task_with_a_secret_is_silent_about_it(role):
    """Its result, and under --diff its content, would be in the output of every run."""
    assert open_tasks(role) == []


@pytest.mark.parametrize("role", ROLES)
def test_one_switch_shows_all_secrets(role):
    """`secure_logging` in group_vars/all; a role that has its own switch takes it from there."""
    name = f"{role}_secure_logging"
    values = [
        content[name]
        for path in (PROJECT / f"roles/{role}/defaults").rglob("*.yml")
        if name in (content := load(path) or {})
    ]
    uses = [
        str(task["no_log"])
        for directory in ("tasks", "handlers")
        for path in (PROJECT / f"roles/{role}/{directory}").rglob("*.yml")
        for task, _ in tasks_of(path)
        if "no_log" in task
    ]
    assert values in ([], ["{{ secure_logging | default(true) }}"])
    assert all(name in use for use in uses), uses
    assert not uses or values


def test_there_are_secrets_to_look_for():
    """Else the tests above would prove nothing."""
    assert {"build_env_signing_key", "mail_relay_password"} <= SECRETS
