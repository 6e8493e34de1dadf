"""Requests: what they hand to a stream's unit, and what they refuse."""

from __future__ import annotations

import time

import pytest
from build_host import ID, NOW

from stxmirror.controller.request import Request
from stxmirror.errors import StxMirrorError


def test_a_request_survives_its_way_into_the_unit():
    request = Request.make(NOW, verb="build", ref="f/x", reason="a 'quoted' $reason %n")
    assert Request.from_json(request.to_json()) == request
    assert Request.make(NOW, verb="build", ref="f/x", reason="y").token != request.token


def test_the_playbook_gets_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1000.9)
    resumed = {"resume_id": ID, "from_stage": "iso", "force": True, "trigger": "cron"}
    request = Request.make(NOW, verb="build", ref="f/x", reason="why", **resumed)
    assert request.extra_vars(60) == {
        **resumed,
        **{"stream": "f/x", "reason": "why", "build_id": "", "deadline": 1060},
        **{"request": request.token, "request_started": request.started},
    }
    plain = Request.make(NOW, verb="build", ref="f/x", reason="why")
    assert (plain.trigger, plain.force) == ("person", False)
    assert Request.make(NOW, verb="publish", ref="f/x", reason="why", build_id=ID).build_id == ID


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the request is not understood: Expecting value"),
        ("[]", "the request is not understood: .*mapping"),
        ("{}", "the request is not understood: .*missing"),
        ('{"verb": "build"}', "the request is not understood: .*missing"),
        ('{"nonesuch": 1}', "the request is not understood: .*nonesuch"),
    ],
)
def test_a_request_that_is_none_is_refused(text, said):
    with pytest.raises(StxMirrorError, match=said):
        Request.from_json(text)


def test_a_request_is_refused_with_its_own_words():
    request = Request.make(NOW, verb="build", ref="f/x", reason="y")
    with pytest.raises(StxMirrorError, match=r"^the request's token is '\.\./x'"):
        Request.from_json(request.to_json().replace(request.token, "../x"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verb": "prune"}, "the request's verb is 'prune'"),
        ({"ref": "f/../x"}, "not a branch or tag"),
        ({"resume_id": "x", "from_stage": "iso"}, "'x' is no"),
        ({"resume_id": ID, "from_stage": "iso; id"}, "'iso; id' is not a stage"),
        ({"resume_id": ID}, "--resume and --from go together"),
        ({"from_stage": "iso"}, "--resume and --from go together"),
        ({"force": "yes"}, "the request's force is 'yes'"),
        ({"build_id": "x", "verb": "publish"}, "'x' is no"),
        ({"build_id": ID}, "only then"),
        ({"verb": "publish"}, "only then"),
        ({"reason": "  "}, "not one line of text"),
        ({"reason": ""}, "not one line of text"),
        ({"reason": "a\nb"}, "not one line of text"),
        ({"reason": "x" * 201}, "at most 200 characters"),
        ({"reason": "{{ lookup('pipe', 'id') }}"}, "say it in plain words"),
        ({"reason": "{% if x %}"}, "say it in plain words"),
        ({"reason": "a {# b"}, "say it in plain words"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(StxMirrorError, match=said):
        Request.make(NOW, **{"verb": "build", "ref": "master", "reason": "x", **changes})
