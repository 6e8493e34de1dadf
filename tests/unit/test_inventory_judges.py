"""What the check of an inventory says of values, word for word."""

from __future__ import annotations

import pytest

from stxmirror.inventory import judges
from stxmirror.inventory.judges import host_problem, profile_problems


def judge(name: str, value: object, **others: object) -> list[judges.Problem]:
    return judges.JUDGES[name][1](value, others.get)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a", ""),
        ("a.", "write a host's name or its address, without spaces and other signs"),
        ("[fd00::1]", "write the address without brackets, fd00::1"),
        (
            "[fd00::1]:22",
            "write the address without brackets, fd00::1, and the port as publish_port",
        ),
        ("fd00::1]", "write a host's name or its address, without spaces and other signs"),
        ("[mirror]", "write a host's name or its address, without spaces and other signs"),
        ("a@me@mirror", "write the name alone, mirror, and the account as publish_user"),
        ("mirror:x", "write a host's name or its address, without spaces and other signs"),
        ("a:b:3", "write a host's name or its address, without spaces and other signs"),
    ],
)
def test_why_a_host_cannot_be_called_so(name, problem):
    assert host_problem(name) == problem


def test_admins_are_judged_as_role_users_does():
    assert judge("users_admins", []) == []
    found = judge("users_admins", [{"name": "ann", "keys": []}, {"name": "ann", "keys": []}])
    assert [keys for _, keys in found] == [()] * len(found)
    assert any("ann is listed twice" in text for text, _ in found)


def test_networks_matter_where_the_firewall_is_on():
    open_to_all = ["0.0.0.0/0"]
    name = "hardening_admin_networks"
    (found,) = judge(name, open_to_all)
    assert found[0].startswith("0.0.0.0/0 is everybody")
    assert found[1] == ()
    assert judge(name, open_to_all, hardening_firewall_enabled=False) == []
    assert judge(name, open_to_all, hardening_admin_networks_open=True) == []
    assert judge(name, ["192.0.2.0/28"], hardening_admin_networks_open=False) == []


def test_the_name_of_a_known_mirror():
    assert judge("build_env_mirrors", [{"name": "a"}, {"name": "b:22"}, {"name": "[c]:x"}]) == [
        (
            "no mirror can be called 'b:22': write the name alone, b, and the port as [NAME]:22",
            (1, "name"),
        ),
        (
            "no mirror can be called '[c]:x': write a host's name or its address, without spaces "
            "and other signs",
            (2, "name"),
        ),
    ]
    assert len(judge("build_env_mirrors", [{"name": "[c]:22x"}])) == 1
    assert judge("build_env_mirrors", [{"name": "[fd00::1]:"}])[0][0].endswith(
        "without brackets, fd00::1, and the port as [NAME]:PORT"
    )


def test_a_proxy():
    value = {
        "http_proxy": "http://",
        "https_proxy": "https://u:p@proxy:1",
        "no_proxy": "a b",
        "ftp_proxy": "xhttp://proxy",
        "all_proxy": "http://proxy:1 x",
    }
    form = "write it as http://proxy.example.com:3128"
    account = "take the account out, every build can read it: let the proxy know the host"
    assert judge("build_env_proxy", value) == [
        (f"http_proxy cannot be used: {form}", ("http_proxy",)),
        (f"https_proxy cannot be used: {account}", ("https_proxy",)),
        ("no_proxy cannot be used: write commas between, and no spaces", ("no_proxy",)),
        (f"ftp_proxy cannot be used: {form}", ("ftp_proxy",)),
        (f"all_proxy cannot be used: {form}", ("all_proxy",)),
    ]
    fine = {"http_proxy": "https://p:1", "no_proxy": "me@x,b"}
    assert judge("build_env_proxy", fine) == []


@pytest.mark.parametrize(
    ("value", "mirrors", "found"),
    [
        (
            {},
            [],
            [("lacks publish_host: write the mirror's name as build_env_mirrors has it", ())],
        ),
        ({"publish_host": ""}, [], []),
        ({"publish_host": "m", "publish_known_hosts": "m ssh-ed25519 A"}, [], []),
        ({"publish_host": "m"}, "{{ wrong }}", []),
        ({"publish_host": "m"}, "", []),
        ({"publish_host": "m"}, ["wrong"], []),
        (
            {"publish_host": "m"},
            [],
            [
                (
                    "publish_host is m, and build_env_mirrors has no m, so that publishing would "
                    "be refused: add an entry with that name there",
                    ("publish_host",),
                )
            ],
        ),
        (
            {"publish_host": "m", "publish_port": 23},
            [{"name": "m"}, {"name": "n"}],
            [
                (
                    "publish_host is m, and build_env_mirrors has no [m]:23, so that publishing "
                    "would be refused: write m or n instead, or add an entry with that name there",
                    ("publish_host",),
                )
            ],
        ),
        (
            {"publish_host": "m", "prune_host": "a b"},
            [],
            [
                (
                    "prune_host is 'a b', which cannot work: write a host's name or its address, "
                    "without spaces and other signs",
                    ("prune_host",),
                )
            ],
        ),
        (
            {"publish_host": "a b", "prune_host": "m"},
            [{"name": "m"}],
            [
                (
                    "publish_host is 'a b', which cannot work: write a host's name or its address, "
                    "without spaces and other signs",
                    ("publish_host",),
                )
            ],
        ),
    ],
)
def test_where_a_build_host_publishes(value, mirrors, found):
    assert judge("scheduler_variables", value, build_env_mirrors=mirrors) == found


def test_streams_are_judged_as_a_whole(make_stream):
    assert judge("streams", [make_stream()]) == []
    ((text, keys),) = judge("streams", [make_stream(), make_stream()])
    assert text.startswith("the streams have 2 problems: ")
    assert keys == ()


def test_a_profile_that_does_not_exist():
    profiles = {"starlingx", "sample"}
    value = [{"name": "a", "profile": "sampel"}, {"profile": "xyz"}, {"profile": "sample"}]
    assert profile_problems(value, profiles) == [
        (
            "stream a: there is no file profiles/sampel.yml: write sample, or add that file",
            (0, "profile"),
        ),
        (
            "stream 2: there is no file profiles/xyz.yml: write one of sample, starlingx, or add "
            "that file",
            (1, "profile"),
        ),
    ]
    assert profile_problems(None, profiles) == []
