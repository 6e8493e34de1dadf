"""Whether variables are ones that exist, and of the type that is asked for."""

from __future__ import annotations

import pytest

from stxmirror import variables

ROLES = {"users", "build", "build_env", "build_session"}
KNOWN = {"users_accounts", "users_groups", "build_env_mirrors", "streams", "build_x"}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("users_accounts", ""),
        ("users_acounts", "nothing reads users_acounts: write users_accounts"),
        ("stream", "nothing reads stream: write streams"),
        ("site_domain", ""),
        ("ansible_usr", ""),
        ("vault_users_password", ""),
        ("vault_build_env_mirrors", ""),
        (
            "build_env_colour",
            "role build_env has no input build_env_colour: "
            "roles/build_env/README.md lists those it has",
        ),
        # Of two roles that it may belong to, the longer name is meant; and it is no role's own.
        (
            "build_session_x",
            "role build_session has no input build_session_x: roles/build_session/README.md lists "
            "those it has",
        ),
        ("build_x", ""),
        ("usersx", ""),
        ("usersaccounts", "nothing reads usersaccounts: write users_accounts"),
    ],
)
def test_a_name_that_nothing_reads_is_found(name: str, problem: str) -> None:
    found = variables.name_problem(name, KNOWN, ROLES)
    assert found == problem


@pytest.mark.parametrize(
    ("value", "option", "problem"),
    [
        (True, {"type": "bool"}, None),
        ("yes", {"type": "bool"}, "x is a text: write true or false, without quotes"),
        ("5", {"type": "int"}, "x is a text: write a whole number, without quotes"),
        (True, {"type": "int"}, "x is the boolean true: write a whole number, without quotes"),
        (5, {"type": "float"}, None),
        (1.1, {"type": "str"}, "x is the number 1.1: write a text, in quotes"),
        ("a,b", {"type": "list", "elements": "str"}, "x is a text: write a list"),
        ([1], {"type": "list", "elements": "str"}, "x[0] is the number 1: write a text, in quotes"),
        ([], {"type": "dict"}, "x is a list: write a mapping"),
        (None, {"type": "list"}, "x has no value: write a list, or take the line away"),
        ("c", {"type": "str", "choices": ["a", "b"]}, "x is 'c': write one of a, b"),
        (False, {"choices": ["a", "b"]}, "x is the boolean false: write one of a, b"),
        (["c"], {"type": "list", "elements": "str", "choices": ["a"]}, "x[0] is 'c': write one of"),
        (
            [{"nmae": "n"}],
            {"type": "list", "elements": "dict", "options": {"name": {"type": "str"}}},
            "x[0] has no key nmae: write name, keys",
        ),
        (
            [{}],
            {
                "type": "list",
                "elements": "dict",
                "options": {"name": {"required": True, "description": "Its name. And more."}},
            },
            "x[0] lacks the key name: Its name.",
        ),
    ],
)
def test_a_value_is_held_to_its_type(value: object, option: dict, problem: str | None) -> None:
    found = variables.value_problems("x", value, option)
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(problem.split(", keys")[0])


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    (found,) = variables.value_problems("x", "hunter2", {"type": "dict"})
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("value", "option", "problems"),
    [
        ("a", {}, []),
        (None, {}, ["x has no value: write a text, in quotes, or take the line away"]),
        (None, {"type": "raw"}, ["x has no value: write one, or take the line away"]),
        (5, {"type": "path"}, ["x is the number 5: write a path, in quotes"]),
        ("a", {"type": "float"}, ["x is a text: write a number, without quotes"]),
        ({"a": 1}, {"type": "list"}, ["x is a mapping: write a list"]),
        (True, {"type": "raw"}, []),
        ([None], {"type": "list"}, ["x[0] has no value: write one, or take the line away"]),
        (["a", "b"], {"type": "list", "elements": "str", "choices": ["a", "b"]}, []),
        ([5, True], {"type": "list"}, []),
        ({"a": 1}, {"type": "dict"}, []),
        ({"a": 1}, {"type": "dict", "options": {}}, []),
        (
            {"nonesuch": 1},
            {"type": "dict", "options": {"b": {}, "a": {"required": True, "description": "A"}}},
            ["x has no key nonesuch: write one of a, b", "x lacks the key a: A."],
        ),
        (
            {"a": 5},
            {"type": "dict", "options": {"a": {"type": "str", "required": True}}},
            ["x.a is the number 5: write a text, in quotes"],
        ),
    ],
)
def test_what_is_said_of_a_value(value, option, problems):
    assert variables.value_problems("x", value, option) == problems


def test_of_a_secret_nothing_is_repeated():
    option = {"type": "str", "choices": ["a"]}
    deep = {"type": "dict", "options": {"k": {"type": "list", "elements": "str", "choices": ["a"]}}}
    hidden = "is none of its choices: write one of a"
    assert variables.value_problems("x", "hunter2", option, secret=True) == [f"x {hidden}"]
    assert variables.value_problems("x", {"k": ["hunter2"]}, deep, secret=True) == [
        f"x.k[0] {hidden}"
    ]


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ("Its name", "Its name."),
        ("Its name. And more.", "Its name."),
        (["Its name.", "And more."], "Its name."),
        ([], "."),
    ],
)
def test_a_description_is_told_by_its_first_sentence(description, sentence):
    assert variables.first_sentence({"description": description}) == sentence


def test_what_is_close_depends_on_how_much_is_allowed():
    assert variables.suggestion("profil", ["profile", "name"]) == "profile"
    assert variables.suggestion("pro", ["profile"]) == ""
    assert variables.suggestion("pro", ["profile"], variables.NEAREST) == "profile"
