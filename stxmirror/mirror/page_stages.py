"""The stages of a build, on its page: how each went, and what it took."""

from __future__ import annotations

from stxmirror.mirror import page_parts as parts
from stxmirror.mirror.page_html import (
    Child,
    Markup,
    duration,
    element,
    file_href,
    link,
    plural,
    size,
)
from stxmirror.mirror.page_model import Build
from stxmirror.records import StageRun


def render(build: Build, base: str) -> Markup | None:
    """Return the table of a build's stages; ``base`` leads to the build's files."""
    stages = build.record["stages"]
    if not stages:
        return None
    longest = max(0.001, *(stage["seconds"] for stage in stages))
    together = duration(sum(stage["seconds"] for stage in stages))
    rows: list[list[Child]] = [
        [
            _stage_name(stage, base, withdrawn=bool(build.withdrawn)),
            [
                element(
                    "span",
                    {"class": f"badge {stage['result']}"},
                    element("span", {"aria-hidden": "true"}, parts.SIGNS[stage["result"]]),
                    " ",
                    stage["result"],
                ),
                element("span", {"class": "soft"}, f"try {stage['attempts']}")
                if stage["attempts"] > 1
                else None,
            ],
            [_bar(stage, longest), duration(stage["seconds"])],
            duration(stage["cpu_seconds"]),
            size(stage["peak_memory_bytes"]),
        ]
        for stage in stages
    ]
    return parts.section(
        "Stages",
        parts.table(
            "stages",
            ["Stage", "Result", "Time", "CPU", "Peak memory"],
            rows,
            f"{plural(len(stages), 'stage')}, {together} together",
        ),
    )


def _stage_name(stage: StageRun, base: str, *, withdrawn: bool) -> Child:
    href = None if withdrawn or stage["log"] is None else file_href(base, stage["log"])
    name = link(href, stage["name"], css="name") if href else stage["name"]
    command = element("code", {"class": "command"}, " ".join(stage["command"]))
    return [name, command]


def _bar(stage: StageRun, longest: float) -> Markup:
    """Return a bar as long as the stage took; drawn, because styles in place may be forbidden."""
    share = max(1.0, 100 * stage["seconds"] / longest)
    return element(
        "svg",
        {"class": f"bar {stage['result']}", "aria-hidden": "true"},
        element("rect", {"width": f"{share:.1f}%", "height": "100%", "rx": "2"}),
    )
