"""Every role is whole: documented, checked at its door, tested; and its defaults tell the truth."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
import yaml

PROJECT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir())
TEMPLATES = sorted(
    path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("roles/*/templates/**/*.j2")
)
# Their logic is in the package, with tests of its own; scenario `build` and the end-to-end test
# play them.
BUILDING = {
    name
    for book in ("build", "publish", "prune")
    for name in re.findall(
        r"\b(?:name|role): (\w+)$", (PROJECT / f"playbooks/{book}.yml").read_text(), re.MULTILINE
    )
} & set(ROLES)
WORK = ("tasks", "handlers", "defaults", "vars", "templates", "meta")


def load(path: Path):
    """A YAML file, with Ansible's own tags read as plain values."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    Loader.add_constructor("!vault", lambda loader, node: loader.construct_scalar(node))
    return yaml.load(path.read_text(), Loader) if path.exists() else None  # noqa: S506 a SafeLoader


def defaults_of(role: str) -> dict:
    """A role's inputs: defaults/main.yml, or, of a role with many, a directory of such files."""
    directory = PROJECT / f"roles/{role}/defaults"
    paths = [directory / "main.yml", *sorted((directory / "main").glob("*.yml"))]
    return {name: value for path in paths for name, value in (load(path) or {}).items()}


def entry_points(role: str) -> dict[str, dict]:
    return (load(PROJECT / f"roles/{role}/meta/argument_specs.yml") or {}).get("argument_specs", {})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "path",
    [
        "roles/{role}/README.md",
        "roles/{role}/meta/main.yml",
        "roles/{role}/meta/argument_specs.yml",
        "roles/{role}/tasks/main.yml",
    ],
)
def test_role_has(role, path):
    """Who takes up a role finds what it is for, what it takes, and how to try it."""
    assert (PROJECT / path.format(role=role)).is_file(), path.format(role=role)


@pytest.mark.parametrize("role", sorted(set(ROLES) - BUILDING))
def test_role_is_verified(role):
    """By a scenario of its own; molecule takes one without tests for a success."""
    for name in ("molecule.yml", "converge.yml"):
        assert (PROJECT / f"molecule/{role}/{name}").is_file(), f"molecule/{role}/{name}"
    tests = list((PROJECT / f"molecule/{role}/tests").glob("test_*.py"))
    assert any("def test_" in path.read_text() for path in tests), f"molecule/{role}/tests"


def test_builds_play_roles():
    """Else every role would need a scenario, or none."""
    assert {"build_session", "build_stages", "publish", "prune"} <= BUILDING


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_name_the_same_inputs(role):
    """An input that only one of them knows is not checked, or has no value."""
    defaults = set(defaults_of(role))
    inputs, required = set(), set()
    for entry_point in entry_points(role).values():
        for name, option in (entry_point.get("options") or {}).items():
            inputs.add(name)
            if option.get("required"):
                required.add(name)
    assert inputs - required == defaults - required
    assert not required & defaults, "a required input needs no default"


@pytest.mark.parametrize("role", ROLES)
def test_documented_defaults_are_the_real_ones(role):
    """What the specs call the default is only text to Ansible; it must not drift."""
    defaults = defaults_of(role)
    for entry_point in entry_points(role).values():
        for name, option in (entry_point.get("options") or {}).items():
            if "default" in option:
                assert option["default"] == defaults.get(name), name


@pytest.mark.parametrize("role", ROLES)
def test_inputs_and_internals_carry_the_role_s_name(role):
    """`<role>_x` is what the inventory may set, `__<role>_x` is nobody else's business.

    What a role offers to those that follow it is neither, and stands in its README.
    """
    readme = PROJECT / f"roles/{role}/README.md"
    offered = readme.read_text() if readme.is_file() else ""
    for name in defaults_of(role):
        assert name.startswith(f"{role}_"), name
    for path in (PROJECT / f"roles/{role}/vars").glob("*.yml"):
        for name in load(path) or {}:
            is_offered = name.startswith(f"{role}_") and f"`{name}`" in offered
            assert name.startswith(f"__{role}_") or is_offered, f"{path.name}: {name}"


@pytest.mark.parametrize("role", ROLES)
def test_inputs_are_used(role):
    """An input that nothing reads is a promise that is not kept."""
    texts = [
        path.read_text(errors="replace")
        for directory in WORK
        for path in (PROJECT / "roles" / role / directory).rglob("*")
        if path.is_file() and path.name != "argument_specs.yml"
    ]
    for name in defaults_of(role):
        uses = sum(text.count(name) for text in texts)
        assert uses > 1, f"{name} is set in defaults/main.yml and read nowhere"


@pytest.mark.parametrize("path", TEMPLATES)
def test_template_parses(path):
    """A slip of the pen in a template shows here, not on a host."""
    environment = jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do"])  # noqa: S701
    environment.filters = _Anything(environment.filters)
    environment.tests = _Anything(environment.tests)
    environment.parse((PROJECT / path).read_text(), filename=path)


class _Anything(dict):
    """Filters and tests that Ansible knows and plain Jinja does not."""

    def __contains__(self, key: object) -> bool:
        return True


@pytest.mark.parametrize("path", TEMPLATES)
def test_template_says_who_wrote_the_file(path):
    """Who opens the file on a host must see that changes are lost, where there are comments."""
    text = (PROJECT / path).read_text()
    without_comments = (".json.j2", "BUILD.j2")
    assert "ansible_managed" in text or path.endswith(without_comments), path


def steps(role: str) -> dict[str, set[str]]:
    """The files that a role's table of contents names, each with its tags."""
    found = {}
    for entry in load(PROJECT / f"roles/{role}/tasks/main.yml") or []:
        for word in ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks"):
            named = entry.get(word)
            file = named.get("file") if isinstance(named, dict) else named
            if file:
                found[file] = set(entry.get("tags", []))
    return found


@pytest.mark.parametrize("role", ROLES)
def test_each_tag_brings_what_its_tasks_ask_for(role):
    """Started with one tag alone, a role must not stop for a result that another step registers."""
    directory = PROJECT / f"roles/{role}"
    meanings = {}
    for path in directory.glob("vars/*.yml"):
        for name, value in (load(path) or {}).items():
            meanings[name] = meanings.get(name, "") + str(value)
    texts = {file: (directory / "tasks" / file).read_text() for file in steps(role)}

    def asked(text: str, seen: frozenset[str] = frozenset()) -> set[str]:
        names = set(re.findall(r"\b__\w+", text)) - seen
        more = [asked(meanings[name], seen | names) for name in names if name in meanings]
        return names.union(*more)

    for provider, text in texts.items():
        for name in re.findall(r"register: (\w+)", text):
            for user, tags in steps(role).items():
                if name in asked(texts[user]) and user != provider:
                    brought = steps(role)[provider]
                    assert tags <= brought or "always" in brought, (
                        f"{user} asks for {name}: let {provider} have its tags, too"
                    )
