"""Names of mirrors, lines of messages, references: what the check of an inventory is made of."""

from __future__ import annotations

import pytest

from stxmirror.inventory import agent, judges, places, problems, references
from stxmirror.inventory.places import Owner, Setting


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mirror.example.org", ""),
        ("mirror_1", ""),
        ("192.0.2.7", ""),
        ("fd00::1", ""),
        ("::1", ""),
        ("[fd00::1]", "write the address without brackets, fd00::1"),
        ("[fd00::1]:22", "write the address without brackets, fd00::1, and the port as"),
        ("https://mirror/x", "write the name alone, without a scheme and a path"),
        ("me@mirror", "write the name alone, mirror, and the account as publish_user"),
        ("mirror:2222", "write the name alone, mirror, and the port as publish_port: 2222"),
        ("a mirror", "write a host's name or its address, without spaces"),
        ("mirror/x", "write a host's name or its address, without spaces"),
        ("-oProxyCommand=x", "write a host's name or its address, without spaces"),
        ("fd00:::1", "write a host's name or its address, without spaces"),
        ("mirror\n", "write a host's name or its address, without spaces"),
    ],
)
def test_a_mirror_has_a_name_that_ssh_and_rsync_take(name: str, problem: str) -> None:
    found = judges.host_problem(name)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def judge(name: str, value: object, **others: object) -> list[judges.Problem]:
    return judges.JUDGES[name][1](value, others.get)


@pytest.mark.parametrize(
    ("host", "port", "known", "problem"),
    [
        ("mirror", 22, "mirror", ""),
        ("mirror", 2222, "[mirror]:2222", ""),
        ("fd00::1", 22, "fd00::1", ""),
        ("fd00::1", 2222, "[fd00::1]:2222", ""),
        ("", 22, "mirror", ""),
        ("fd00::1", 2222, "fd00::1", "build_env_mirrors has no [fd00::1]:2222"),
        ("mirror", 22, "other", "build_env_mirrors has no mirror"),
        ("[fd00::1]", 22, "[fd00::1]", "'[fd00::1]', which cannot work"),
    ],
)
def test_a_mirror_is_one_whose_key_is_known(host: str, port: int, known: str, problem: str) -> None:
    value = {"publish_host": host, "publish_port": port}
    found = judge("scheduler_variables", value, build_env_mirrors=[{"name": known}])
    assert [problem in text for text, _ in found] == ([True] if problem else [])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mirror", ""),
        ("[mirror]:2222", ""),
        ("[fd00::1]:2222", ""),
        ("mirror:2222", "write the name alone, mirror, and the port as [NAME]:2222"),
        ("[fd00::1]", "write the address without brackets, fd00::1"),
    ],
)
def test_a_known_mirror_is_called_as_ssh_calls_it(name: str, problem: str) -> None:
    found = judge("build_env_mirrors", [{"name": "fine"}, {"name": name}])
    assert [(problem in text, keys) for text, keys in found] == (
        [(True, (1, "name"))] if problem else []
    )


def test_streams_without_a_profile_are_left_to_the_streams_own_check() -> None:
    value = [{"name": "a", "profile": "there"}, {"name": "b"}, "c", {"profile": "their"}]
    found = judges.profile_problems(value, {"there"})
    assert [keys for _, keys in found] == [(3, "profile")]
    assert "stream 4: there is no file profiles/their.yml: write there" in found[0][0]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("Expected key=value, got: b = c", 3),
        ("undefined group 'mirrors'", 1),
        ('Invalid "hosts" entry for "mirrors"', 1),
        ("nothing that is quoted", 0),
    ],
)
def test_the_line_that_a_message_quotes_is_found(reason: str, line: int) -> None:
    assert places.quoted_line("[mirrors]\na\nb = c\n", reason) == line


def test_a_place_is_the_innermost_line_that_is_found() -> None:
    text = "streams:\n  - name: a\n    profile: x\n  - name: b\n"
    (setting,) = places.in_variables(places.compose(text), "f", None, ())
    assert setting.place == "f:1"
    assert setting.at((0, "profile")).place == "f:3"
    assert setting.at((1, "profile")).place == "f:4"
    assert setting.at((7,)).place == "f:1"


def test_ini_lines_are_found_by_host_and_group() -> None:
    text = "a x=1 y='2 3' # z=4\n; c\n[g:children]\nh=1\n[g:vars]\nv=5\n[g]\nb[1:2] w=6\n"
    found = [(item.name, item.line, str(item.owner)) for item in places.in_ini_inventory(text, "f")]
    assert found == [
        ("x", 1, "host a"),
        ("y", 1, "host a"),
        ("v", 6, "group g"),
        ("w", 8, "host b[1:2]"),
    ]


def test_a_setting_of_a_pattern_is_found_where_it_is_written() -> None:
    written = [
        Setting("x", "f", 1, Owner("host", "a")),
        Setting("x", "f", 4, Owner("host", "b[1:9]")),
        Setting("x", "f", 9, Owner("group", "b")),
    ]
    asked = [Owner("host", "a"), Owner("host", "b5"), Owner("group", "b")]
    found = [places.located(Setting("x", "f", 0, owner), written) for owner in asked]
    assert [(item.line, item.owner) for (item,) in found] == [
        (1, asked[0]),
        (4, asked[1]),
        (9, asked[2]),
    ]
    assert places.located(Setting("y", "f", 0, asked[0]), written)[0].line == 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("plain { text }", set()),
        (
            "{{ a | default(b) }}{% for i in c %}{{ i }}{{ loop.last }}{% endfor %}",
            {"a", "b", "c"},
        ),
        ("{{ d | no.such.filter is no_such_test }}", {"d"}),
        ("{{ lookup('file', d) }}{{ groups['x'] }}{{ omit }}", {"d"}),
        ("{{ broken", set()),
    ],
)
def test_references_are_what_an_expression_needs(text: str, names: set[str]) -> None:
    assert references.references({"k": [text]}) == names


def test_references_are_followed_and_a_circle_ends() -> None:
    variables = {"a": "{{ b }}", "b": "{{ a }} {{ c }}", "facts": "{{ ansible_facts.x }}"}
    assert references.missing("x", "{{ a }}", variables, ()) == ({"c": "b"}, False)
    assert references.missing("x", "{{ a }}", variables, {"c"}) == ({}, True)
    assert references.missing("x", "{{ facts }}", variables, ()) == ({}, True)
    assert references.missing("x", "{{ ansible_later }}", variables, ()) == ({}, True)


def test_where_hosts_of_two_groups_are_one_group_no_variable_is_misplaced() -> None:
    groups = {"mirrors": ["m"], "build_hosts": ["b"], "site": ["m", "b"], "empty": []}
    roles = {"mirrors": ["mirror_host"], "build_hosts": ["build_env"]}
    readers = {"mirror_host_x": {"mirror_host"}, "both": {"mirror_host", "users"}}

    def misplaced(name: str, kind: str, owner: str) -> bool:
        setting = Setting(name, "f", 1, Owner(kind, owner))
        return bool(list(problems.misplaced([setting], readers, roles, groups, {})))

    for owner in ("mirrors", "site", "empty", "all"):
        assert not misplaced("mirror_host_x", "group", owner)
    assert misplaced("mirror_host_x", "group", "build_hosts")
    assert not misplaced("mirror_host_x", "host", "m")
    assert misplaced("mirror_host_x", "host", "b")
    # Another of its roles is on every host.
    assert not misplaced("both", "host", "b")


@pytest.mark.parametrize(
    ("entry", "is_directory", "name"),
    [
        ("mirrors", True, "mirrors"),
        ("mirrors.yml", False, "mirrors"),
        ("m.example.org", False, "m.example.org"),
        ("m.example.org.yaml", False, "m.example.org"),
        ("notes.txt", False, "notes.txt"),
    ],
)
def test_a_file_is_read_for_the_host_that_it_is_named_after(
    entry: str, is_directory: bool, name: str
) -> None:
    assert problems.owner_name(entry, is_directory, {"mirrors", "m.example.org"}) == name


def test_many_keys_in_the_agent_are_worth_a_warning_where_hosts_take_fewer() -> None:
    assert agent.warning(4, {"a": 4, "b": 6}) == ""
    found = agent.warning(5, {"c": 4, "b": 6, "a": 4})
    assert "offers 5 keys, and a and 1 more hosts will end a connection after 4" in found
    assert "IdentitiesOnly yes" in found
