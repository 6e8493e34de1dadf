"""Typed values out of JSON: the right type or one sentence, never a value of another type."""

from __future__ import annotations

import pytest

from stxmirror import fields
from stxmirror.errors import StxMirrorError

RAW = {"text": "x", "count": 3, "share": 0.5, "on": True, "off": False, "list": ["a", "b"]}


def test_what_is_there_is_given():
    assert fields.required(RAW, "text", str, "it") == "x"
    assert fields.required(RAW, "count", int, "it") == 3
    assert fields.required(RAW, "off", bool, "it") is False
    assert (fields.number(RAW, "count", "it"), fields.number(RAW, "share", "it")) == (3, 0.5)
    assert fields.strings(RAW, "list", "it") == ["a", "b"]
    assert fields.items(RAW, "list", "it") == ["a", "b"]
    assert fields.mapping(RAW, "it") is RAW


def test_what_may_lack_is_none():
    assert fields.optional(RAW, "other", str, "it") is None
    assert fields.optional({"other": None}, "other", str, "it") is None
    assert fields.optional(RAW, "text", str, "it") == "x"
    assert fields.optional(RAW, "off", bool, "it") is False


@pytest.mark.parametrize(
    "read",
    [
        lambda: fields.required(RAW, "key", str, "it"),
        lambda: fields.required({"key": 3}, "key", str, "it"),
        lambda: fields.required({"key": None}, "key", str, "it"),
        # In JSON, true is not 1.
        lambda: fields.required({"key": True}, "key", int, "it"),
        lambda: fields.required({"key": 1}, "key", bool, "it"),
        lambda: fields.optional({"key": 3}, "key", str, "it"),
        lambda: fields.number({"key": True}, "key", "it"),
        lambda: fields.number({"key": "3"}, "key", "it"),
        lambda: fields.items({"key": "text"}, "key", "it"),
        lambda: fields.items({"key": b"bytes"}, "key", "it"),
        lambda: fields.items({"key": {}}, "key", "it"),
        lambda: fields.strings({"key": ["a", 3]}, "key", "it"),
    ],
)
def test_another_type_is_refused_by_name(read):
    with pytest.raises(StxMirrorError, match=r"^it lacks a usable 'key': correct it$"):
        read()


def test_what_is_no_object_is_shown_in_short():
    with pytest.raises(StxMirrorError, match=r"^it is \[\], not a JSON object"):
        fields.mapping([], "it")
    with pytest.raises(StxMirrorError) as caught:
        fields.mapping("x" * 78, "it")
    assert "x" * 78 in str(caught.value)
    with pytest.raises(StxMirrorError) as caught:
        fields.mapping("x" * 79, "it")
    assert f"'{'x' * 76}..., not" in str(caught.value)
