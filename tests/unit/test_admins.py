"""The list of admins: every mistake is one sentence that names the person, and repeats no key."""

from __future__ import annotations

import base64
import subprocess

import pytest

from stxmirror.admins import admin_problems, host_changes, may_become_root
from stxmirror.errors import StxMirrorError
from stxmirror.public_keys import read_public_key


@pytest.fixture(scope="module")
def make_key(tmp_path_factory):
    """Makes a pair with the real program, and returns the path of its private half."""
    directory = tmp_path_factory.mktemp("keys")
    made = {}

    def make(*options: str, number: int = 0):
        name = "-".join((*options, str(number)))
        if name not in made:
            made[name] = directory / name
            subprocess.run(
                ["ssh-keygen", "-q", "-N", "", "-C", "a b", "-f", str(made[name]), "-t", *options],
                check=True,
            )
        return made[name]

    return make


@pytest.fixture
def line(make_key):
    """The line of a good public key."""
    return lambda number=0: (
        make_key("ed25519", number=number)
        .with_name(make_key("ed25519", number=number).name + ".pub")
        .read_text()
    )


@pytest.fixture
def admin(line):
    def entry(**changes):
        return {
            "name": "anna",
            "full_name": "Anna Example",
            "keys": [line()],
            "teams": ["build"],
        } | changes

    return entry


@pytest.mark.parametrize(
    "options",
    [
        ("ed25519",),
        ("rsa", "-b", "3072"),
    ],
)
def test_good_keys_are_read(make_key, options):
    path = make_key(*options)
    key = read_public_key((path.parent / f"{path.name}.pub").read_text())
    assert options[0] in key.kind
    assert key.comment == "a b"


def sk(kind: str, *fields: bytes) -> str:
    """The line of a hardware key, as `ssh-keygen -t ...-sk` writes it; that asks for the device."""
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()} token"


def test_hardware_keys_are_read():
    ed25519, ecdsa = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
    assert read_public_key(sk(ed25519, b"x" * 32, b"ssh:")).kind == ed25519
    assert read_public_key(sk(ecdsa, b"nistp256", b"\4" + b"x" * 64, b"ssh:")).kind == ecdsa
    for line in (
        sk(ed25519, b"x" * 31, b"ssh:"),
        sk(ed25519, b"x" * 32),
        sk(ecdsa, b"nistp256", b"\4" + b"x" * 63, b"ssh:"),
        sk(ecdsa, b"nistp384", b"\4" + b"x" * 64, b"ssh:"),
        sk(ecdsa, b"nistp256", b"ssh:"),
    ):
        with pytest.raises(StxMirrorError, match="damaged"):
            read_public_key(line)


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_other_programs_forms_are_refused(make_key, form):
    path = make_key("rsa", "-b", "3072")
    text = subprocess.run(
        ["ssh-keygen", "-e", "-m", form, "-f", str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with pytest.raises(StxMirrorError):
        read_public_key(text)


@pytest.mark.parametrize("options", [("ed25519",), ("rsa", "-b", "3072"), ("rsa", "-m", "PEM")])
def test_private_keys_are_refused_and_not_repeated(make_key, options):
    text = make_key(*options).read_text()
    for given in (text, text.replace("\n", " "), text.splitlines()[1]):
        with pytest.raises(StxMirrorError) as problem:
            read_public_key(given)
        assert not any(part in str(problem.value) for part in text.splitlines()[1:3])
    with pytest.raises(StxMirrorError, match="is a private key"):
        read_public_key(text)


def test_weak_keys_are_refused_with_what_to_use(make_key, line):
    path = make_key("rsa", "-b", "2048")
    with pytest.raises(StxMirrorError, match=r"2048 bits.*ssh-keygen -t ed25519.*3072"):
        read_public_key((path.parent / f"{path.name}.pub").read_text())
    with pytest.raises(StxMirrorError, match="DSA"):
        read_public_key("ssh-dss AAAAB3NzaC1kc3M=")
    path = make_key("ecdsa", "-b", "384")
    with pytest.raises(StxMirrorError, match=r"ECDSA.*ssh-keygen -t ed25519"):
        read_public_key((path.parent / f"{path.name}.pub").read_text())
    # Called another type than it is.
    with pytest.raises(StxMirrorError, match="another type"):
        read_public_key(line().replace("ssh-ed25519", "ssh-rsa", 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda key: f'command="/bin/sh" {key}', "no options"),
        (lambda key: f'no-pty,from="*" {key}', "no options"),
        (lambda key: f"cert-authority {key}", "no options"),
        (lambda key: key + key, "more than one line"),
        (lambda key: key.strip() + " " + key, "another key behind it"),
        (lambda key: key[:40], "cut off or damaged|cannot be read"),
        (lambda key: key[:40] + key[44:], "damaged|cannot be read"),
        (lambda key: key.replace("AAAA", "AAA!", 1), "cannot be read"),
        (lambda key: "~/.ssh/id_ed25519.pub", "looks like a file's name"),
        (lambda key: "ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
        (lambda key: "anna", "no public key"),
        (lambda key: "", "is empty"),
        (lambda key: "# " + key, "before the key"),
        (lambda key: 7, "no text"),
        (lambda key: key.strip() + "\x1b[2J", "cannot be printed"),
    ],
)
def test_lines_that_are_no_single_key(line, change, says):
    with pytest.raises(StxMirrorError, match=says):
        read_public_key(change(line()))


def test_every_good_key_is_cut_anywhere_and_refused(line):
    """Half a paste never passes for a key."""
    kind, blob, _ = line().split(" ", 2)
    for length in range(len(blob)):
        with pytest.raises(StxMirrorError):
            read_public_key(f"{kind} {blob[:length]}")


def test_a_good_list_has_no_problems(admin, line):
    ben = admin(name="ben", full_name="Ben Bäcker", keys=[line(1), line(2)], teams=["security"])
    assert admin_problems([admin(), ben], ["mirror"]) == []
    assert admin_problems([]) == []
    assert may_become_root([admin(), ben]) == ["anna"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Anna"}, "entry 1: name must be"),
        ({"name": "a" * 33}, "at most 32"),
        ({"name": "mirror"}, "mirror is an account of a service"),
        ({"full_name": ""}, "anna: full_name must say who"),
        ({"full_name": "a:b"}, "anna: full_name must be one line"),
        ({"full_name": "a\nb"}, "anna: full_name must be one line"),
        ({"team": ["build"]}, "anna: team is unknown"),
        ({"teams": "build"}, "anna: teams must be a list"),
        ({"teams": []}, "anna: teams must be a list of at least one"),
        ({"teams": ["build", "boss"]}, "anna: there is no team 'boss'"),
        ({"keys": []}, "anna: keys is empty"),
        ({"keys": "ssh-ed25519 AAAA"}, "anna: keys must be a list"),
        ({"keys": ["x"]}, "anna: key 1 is no public key"),
        ({"teams": ["security"]}, "nobody could become root"),
    ],
)
def test_a_mistake_is_named(admin, changes, says):
    assert any(says in problem for problem in admin_problems([admin(**changes)], ["mirror"]))


def test_persons_do_not_share(admin, line):
    twice = admin_problems([admin(), admin(keys=[line(1)])])
    assert twice == ["anna is listed twice: put all keys and teams into one entry"]
    # Another comment makes no other key of it.
    shared = line().rsplit(" ", 1)[0] + " eve"
    assert admin_problems([admin(), admin(name="eve", keys=[line(1), shared])]) == [
        "eve: key 2 is anna's: each person needs a key of their own"
    ]


@pytest.mark.parametrize("given", ["anna", ["anna"], None, 1])
def test_the_wrong_type_is_named(given):
    if not isinstance(given, list):
        assert "must be a list" in admin_problems(given)[0]
    assert "entry 1 must have the keys" in admin_problems([given])[0]


ANNA = {"name": "anna", "teams": ["build"], "keys": ["k"]}
PASSWD = [
    "root:x:0:0::/root:/bin/sh",
    "anna:x:1000:1000::/home/anna:/bin/bash",
    "ben:x:1001:1001::/home/ben:/bin/bash",
    "mail:x:8:8::/var/mail:/bin/sh",
]


def changes(admins, group="anna,ben", connected="root", **more):
    groups = [f"stx-admins:x:990:{group}", "stx-build:x:991:anna", *more.pop("groups", [])]
    return host_changes(
        admins,
        passwd=PASSWD,
        groups=groups,
        connected=connected,
        reserved=["mirror"],
        **more,
    )


def test_taken_off_is_who_is_in_the_group_and_not_listed():
    assert changes([ANNA]).removed == ["ben"]
    assert changes([ANNA], group="anna").removed == []
    assert changes([ANNA], group="").removed == []
    # Whom nobody knows any more.
    assert changes([ANNA], group="anna,ghost").removed == []
    assert changes([ANNA]).problems == []
    assert host_changes([], passwd=[], groups=[], connected="root").problems == []


@pytest.mark.parametrize(
    ("admins", "options", "says"),
    [
        ([], {}, "last admins would go"),
        ([ANNA], {"connected": "ben"}, "ben is the account that this run comes in with"),
        ([ANNA | {"teams": ["security"]}], {"connected": "anna"}, "would lose root"),
        ([ANNA | {"name": "mail"}], {}, "mail is an account of the system"),
        ([ANNA, ANNA | {"name": "new"}], {"groups": ["new:x:1005:"]}, "new is a group here"),
        ([ANNA], {"group": "anna,mail"}, "mail is no person"),
    ],
)
def test_what_speaks_against_it(admins, options, says):
    assert any(says in problem for problem in changes(admins, **options).problems)


def test_a_service_that_was_put_into_the_group_is_not_taken_off():
    assert "mail" not in changes([ANNA], group="anna,mail").removed
