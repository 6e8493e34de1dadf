"""The proxy of a site reaches what fetches for a build."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def _environment(template, proxy: dict) -> list[str]:
    file = PROJECT / "roles/build_env/templates/environment.j2"
    text = template(
        "lookup('ansible.builtin.template', file)",
        file=str(file),
        build_env_proxy=proxy,
        ansible_managed="managed",
    )
    return [line for line in text.splitlines() if not line.startswith("#") and line]


def test_a_proxy_is_written_as_names_and_values(template) -> None:
    proxy = {"no_proxy": ".example.org", "https_proxy": "http://p:3128"}
    assert _environment(template, proxy) == ["https_proxy=http://p:3128", "no_proxy=.example.org"]
    assert _environment(template, {}) == []
