"""The mirror's pages: what they tell, and that nothing a builder wrote becomes part of them."""

from __future__ import annotations

import copy
import json
import posixpath
import re
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxmirror import records, schema
from stxmirror.mirror import page_html, pages
from stxmirror.times import format_time

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pages"))
import sample_site as sample

INLINE = {"a", "code", "strong", "small", "time", "wbr"}
VOID = {"meta", "link", "wbr", "rect", "path"}
ALLOWED = {
    *(
        "html",
        "head",
        "body",
        "meta",
        "title",
        "link",
        "header",
        "nav",
        "main",
        "footer",
        "section",
    ),
    *("article", "div", "span", "p", "a", "h1", "h2", "h3", "h4", "ul", "li", "dl", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "pre", "code", "small", "strong"),
    *("time", "details", "summary", "svg", "rect", "path", "wbr"),
}
ATTRIBUTES = {
    *("class", "id", "href", "lang", "charset", "name", "content", "rel", "type", "datetime"),
    *("title", "scope", "tabindex", "aria-label", "aria-labelledby", "aria-hidden", "data-label"),
    *("viewbox", "d", "fill", "width", "height", "rx"),
}


class Page(HTMLParser):
    """A page as a browser would see it, refusing what does not nest or is not on the lists."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED, tag
        self._part(tag)
        for name, value in attrs:
            assert name in ATTRIBUTES, name
            if name == "href":
                self.links.append(value)
            elif name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def _part(self, tag):
        if tag not in INLINE:
            self.text += " "

    def handle_endtag(self, tag):
        self._part(tag)
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def entry_of(made, build_id):
    return next(b for b in json.loads(made["builds.json"])["builds"] if b["id"] == build_id)


def pages_in(made):
    return {path: Page(data) for path, data in made.items() if path.endswith(".html")}


def in_words(page: Page) -> str:
    return " ".join(page.text.split())


@pytest.fixture
def builds():
    return sample.site()


@pytest.fixture
def made(builds):
    return sample.render(builds)


def test_the_sample_is_what_real_builds_would_be(builds):
    for build in builds:
        records.check(build["record"])


def test_what_files_there_are(made, builds):
    assert set(made) == {
        *("index.html", "builds.json", "verify.py", "assets/style.css", "assets/icon.svg"),
        *(f"builds/{build['id']}/index.html" for build in builds),
    }


def test_the_front_page_has_what_people_come_for(made, builds):
    front = Page(made["index.html"])
    words = in_words(front)
    release = next(b for b in builds if b["id"].startswith("release/2018.10/sample/202611"))
    assert f"{release['id']}/outputs/iso/bootimage.iso" in front.links
    assert release["record"]["iso"]["sha256"] in words
    for said in (
        *(
            "46.0 MiB",
            "12 days ago",
            "for trying out",
            "may break",
            "What will be the next release",
        ),
        *("The build of 7 hours ago failed in stage packages", "Without container images"),
        *("1 of 14 packages failed: namespace-utils", "the installer erased disks", "held"),
        *(
            "2026-12-04",
            "for ever",
            "No stream has this directory",
            "Not built yet: release/stx.10.0",
        ),
        *("sha256sum -c", "gpg --verify SHA256SUMS.asc SHA256SUMS"),
        "baseurl=http://HOST/mirror/starlingx/release/2018.10/sample/latest_build/outputs/RPMS/",
    ):
        assert said in words, said
    assert "assets/signing-key.asc" in front.links


def test_a_newcomer_is_offered_what_is_for_trying_out_and_can_be_verified(builds):
    only_master = [b for b in builds if b["id"].startswith("master/")]
    sample.LATEST.pop("release/2018.10/sample")
    words = in_words(Page(sample.render(only_master)["index.html"]))
    assert "For developers · Changes daily and may break. master sample" in words
    evil = [b for b in builds if b["id"].startswith("feature/evil")]
    assert "No build with an ISO is on this mirror yet" in in_words(
        Page(sample.render(evil)["index.html"])
    )


def test_a_failed_builds_page_says_why(made, builds):
    failed = builds[5]
    page = Page(made[f"builds/{failed['id']}/index.html"])
    words = in_words(page)
    assert "Stage packages failed with exit code 2" in words
    assert "unknown type name 'pid'; did you mean 'pid_t'?" in words
    assert f"../../../../{failed['id']}/outputs/logs/packages.log" in page.links
    assert "namespace-utils: keep the exit status" in words


def test_a_good_builds_page_says_what_is_in_it(made, builds):
    page = Page(made[f"builds/{builds[3]['id']}/index.html"])
    words = in_words(page)
    for said in (
        *("latest_build", "It lacks container images", "Boots under UEFI ok, 34 s", "5 min 12 s"),
        *("Passed on the hardware lab", "cgcs-root/stx/kernel new →", "outputs/RPMS/rt", "try 3"),
        *("92.5 MiB", "2026-12-04", "Builds are kept for 14 days."),
    ):
        assert said in words, said


def test_a_held_build_says_so(made, builds):
    words = in_words(Page(made[f"builds/{builds[0]['id']}/index.html"]))
    assert "Held, whatever the rules say: bisecting the boot time regression" in words


def test_a_withdrawn_build_leaves_a_page_without_its_files(made, builds):
    gone = builds[2]
    page = Page(made[f"builds/{gone['id']}/index.html"])
    assert "Withdrawn 2026-11-20 08:00 UTC: the installer erased disks" in in_words(page)
    assert f"Take {builds[3]['id']} instead" in in_words(page)
    assert not [link for link in page.links if link.startswith(f"../../../../{gone['id']}")]
    entry = entry_of(made, gone["id"])
    assert entry["withdrawn"]["reason"] == "the installer erased disks that were not blank"
    assert [entry[key] for key in ("url", "iso", "record", "repository")] == [None] * 4


def test_a_directory_whose_builds_are_all_gone_is_not_linked(builds):
    gone = builds[2]
    for page in pages_in(sample.render([gone])).values():
        assert not [link for link in page.links if link.endswith("master/sample/")]


def test_every_link_leads_to_something_that_is_there(made, builds, tmp_path):
    sample.write(tmp_path)
    for path, page in pages_in(made).items():
        for link in page.links:
            target, _, fragment = unquote(link).partition("#")
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            if target:
                assert (tmp_path / place).exists(), (path, link)
            if fragment:
                front = page if not target else Page(made["index.html"])
                assert fragment in front.ids, (path, link)


def test_links_are_relative_and_ids_unique(made):
    for page in pages_in(made).values():
        for link in page.links:
            assert not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/", link), link
        assert len(page.ids) == len(set(page.ids))


def test_pages_need_no_scripts_and_styles_fetch_nothing(made):
    for page in pages_in(made).values():
        assert page.text
    style = made["assets/style.css"].decode()
    assert "url(" not in style
    assert "@import" not in style


def test_programs_get_what_the_schema_says(made, builds):
    content = json.loads(made["builds.json"])
    jsonschema.Draft202012Validator(schema.load("builds-1")).validate(content)
    assert schema.problems(content, schema.load("builds-1")) == []
    dates = [build["id"].rpartition("/")[2] for build in content["builds"]]
    assert dates == sorted(dates, reverse=True)
    assert content["aliases"]["master/sample/latest_build"] == builds[3]["id"]
    good = entry_of(made, builds[3]["id"])
    assert good["aliases"] == ["master/sample/latest_build"]
    assert good["iso"] == {
        "url": f"{builds[3]['id']}/outputs/iso/bootimage.iso",
        "size": 48_234_496,
        "sha256": builds[3]["record"]["iso"]["sha256"],
    }
    assert good["missing"] == ["container images"]
    # A builder that names an ISO outside its build gets no link at all.
    assert entry_of(made, builds[-2]["id"])["iso"] is None


def test_the_same_input_gives_the_same_pages_in_any_order(builds, made):
    before = copy.deepcopy(builds)
    assert sample.render(builds[::-1]) == made
    assert builds == before


def test_only_the_front_page_depends_on_the_time(builds, made):
    later = pages.render(
        sample.known(builds),
        sample.RULES,
        sample.LATEST,
        sample.SITE,
        sample.NOW + timedelta(days=2),
    )
    changed = {path for path in made if made[path] != later[path]}
    assert changed == {"index.html", "builds.json"}


def test_an_empty_mirror_has_a_page():
    made = pages.render([], sample.RULES, {}, sample.SITE, sample.NOW)
    words = in_words(Page(made["index.html"]))
    assert "No build with an ISO is on this mirror yet" in words
    assert "Nothing was published here yet" in words
    assert json.loads(made["builds.json"])["builds"] == []


def test_a_page_of_another_build_is_linked_only_while_it_is_there(builds):
    page = Page(sample.render([builds[3]])[f"builds/{builds[3]['id']}/index.html"])
    assert builds[1]["id"] in page.text
    assert not [link for link in page.links if builds[1]["id"] in link]


NASTY = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</pre></code><a>"),
            *("javascript:alert(1)", "//evil.example", "../../../etc/passwd", "'onload='x", "<!--"),
            *("]]>", "&lt;b&gt;", "\u202eevil", "\x00\x1b[2J", "$(id)", "`id`; rm -rf /", "a b\nc"),
        ]
    ),
)


@settings(max_examples=60)
@given(
    st.lists(NASTY, min_size=14, max_size=14),
    st.sampled_from(["success", "fail"]),
    st.booleans(),
)
def test_nothing_that_was_written_elsewhere_becomes_part_of_a_page(texts, result, is_withdrawn):
    give = iter(texts)
    sample.LATEST.clear()
    build = sample.build(
        "feature/x/sample",
        1,
        result=result,
        stream="features",
        hold=next(give) or None,
        notes=[next(give)],
        tombstone={"reason": next(give), "when": "2026-11-20T08:00:00Z"} if is_withdrawn else None,
        record={
            "ref": next(give),
            "reason": next(give),
            "missing": [next(give)],
            "failed_stage": next(give) or None,
            "excerpt": [next(give)],
            "stages": [sample.stage("packages", 1, command=[next(give)], log=next(give))],
            "iso": {"path": next(give), "size": 1, "sha256": "a" * 64},
            "images": [next(give)],
            "manifest": {"url": "", "file": next(give), "branch": "x", "revision": None},
            "previous_good": "feature/x/sample/20261101T000000Z",
            "changes": [
                {"path": next(give), "from": None, "to": None, "commits": []},
            ],
        },
    )
    made = sample.render([build])
    for path, page in pages_in(made).items():
        depth = path.count("/")
        for link in page.links:
            assert not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/|\\", link), link
            up = unquote(link).split("/").count("..")
            assert up <= depth, link
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page.text)
    # What a reader pastes into a shell has no text of a builder's choosing.
    for block in re.findall(r"MIRROR=.*?sha256sum[^\n]*", made["index.html"].decode(), re.DOTALL):
        assert re.fullmatch(r"[A-Za-z0-9=:/.$&;| \n_+~^@%,-]+", block), block
        assert "rm -rf" not in block


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0.04, "0.0 s"), (1, "1 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s")),
        *((3600, "1 h 00 min"), (90061, "25 h 01 min")),
    ],
)
def test_lengths_of_time(seconds, words):
    assert page_html.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        *((0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (48_234_496, "46.0 MiB")),
        *((500 * 2**20, "500 MiB"), (3 * 2**40, "3072 GiB")),
    ],
)
def test_sizes(count, words):
    assert page_html.size(count) == words


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        *((timedelta(0), "just now"), (timedelta(seconds=60), "1 minute ago")),
        *((timedelta(minutes=59), "59 minutes ago"), (timedelta(hours=1), "1 hour ago")),
        *((timedelta(hours=47), "47 hours ago"), (timedelta(days=2), "2 days ago")),
        (timedelta(days=-1), "just now"),
    ],
)
def test_ages(ago, words):
    assert page_html.age(format_time(sample.NOW - ago), sample.NOW) == words


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_can_be_read_in_light_and_dark(made):
    style = made["assets/style.css"].decode()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[0]))
    dark = {**light, **dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[1]))}
    pairs = [
        *(("ink", "paper"), ("ink", "sheet"), ("soft", "paper"), ("soft", "sheet")),
        *(("link", "paper"), ("link", "sheet"), ("soft", "quiet-bg"), ("good", "sheet")),
        *(("good", "good-bg"), ("warn", "warn-bg"), ("bad", "bad-bg"), ("info", "info-bg")),
        *(("code-ink", "code-bg"), ("button-ink", "button"), ("band-ink", "band")),
        *(("bad", "sheet"), ("warn", "sheet")),
    ]
    for theme in (light, dark):
        for front, back in pairs:
            bright, dim = sorted((luminance(theme[front]), luminance(theme[back])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (front, back)
