"""The mirror's pages in a real browser: they fit every screen, and nothing in them runs."""

from __future__ import annotations

import html
import json
import re
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

WIDTHS = (320, 390, 768, 960, 1200)
# Frames of the site in a page of ours; what it finds out it writes into itself for --dump-dom.
PROBE = """<!doctype html><title>probe</title><pre id=found></pre><script>
const wanted = %s;
Promise.all(wanted.map(([path, width]) => new Promise(done => {
  const frame = document.createElement('iframe');
  frame.width = width; frame.height = 900; frame.style.border = 0; frame.src = path;
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    const wide = [...page.querySelectorAll('body *')].filter(element =>
      element.getBoundingClientRect().right > width + 1 && !element.closest('pre, .skip, thead'));
    const small = [...page.querySelectorAll('.button, .chips a')].filter(element =>
      element.getBoundingClientRect().height < 24);
    done({path, width, scroll: root.scrollWidth, title: page.title,
          wide: wide.slice(0, 3).map(element => element.outerHTML.slice(0, 120)),
          small: small.length, scripts: page.scripts.length, images: page.images.length,
          styled: frame.contentWindow.getComputedStyle(page.querySelector('.band'))
                       .backgroundColor,
          paper: frame.contentWindow.getComputedStyle(page.body).backgroundColor});
  };
  document.body.append(frame);
}))).then(found => {
  document.getElementById('found').textContent = JSON.stringify(found);
});
</script>"""


class _Links(HTMLParser):
    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src")]


def pages_of(root, prefix="mirror/starlingx"):
    """Every page of the site, as the path of its directory from the server's root."""
    base = root / prefix
    return [
        f"/{page.parent.relative_to(root)}/"
        for page in sorted([base / "index.html", *base.glob("builds/**/index.html")])
    ]


def look(served, browse, wanted, *options):
    """Show pages in frames of given widths, and return what the browser made of them."""
    root, address = served
    (root / "probe.html").write_text(PROBE % json.dumps(wanted))
    probe = urljoin(address, "/probe.html")
    printed = browse(probe, "--virtual-time-budget=20000", "--dump-dom", *options)
    found = re.search(r'<pre id="found">(.*?)</pre>', printed, re.DOTALL)
    results = json.loads(html.unescape(found.group(1)))
    assert len(results) == len(wanted)
    return results


def test_every_page_fits_every_screen_and_runs_nothing(served, browse):
    wanted = [(path, width) for path in pages_of(served[0]) for width in WIDTHS]
    results = look(served, browse, wanted)
    for result in results:
        assert result["scroll"] <= result["width"], result
        assert result["wide"] == [], result
        assert result["small"] == 0, result
        assert (result["scripts"], result["images"]) == (0, 0), result
        assert "StarlingX build mirror" in result["title"], result
        assert "pwned" not in result["title"], result
        assert result["styled"] == "rgb(11, 31, 63)", "the style sheet was not used"


def test_the_front_page_shows_its_parts(served, browse):
    _, address = served
    printed = browse(address, "--dump-dom")
    assert "<title>StarlingX build mirror</title>" in printed
    for part in ('id="streams"', 'id="verify"', 'id="packages"', 'id="recent"', 'class="offer"'):
        assert part in printed
    assert "&lt;script&gt;document.title=" in printed


def test_every_link_of_the_site_answers(served):
    _, address = served
    seen, waiting = set(), {address}
    while waiting:
        page = waiting.pop()
        seen.add(page)
        with urllib.request.urlopen(page) as answer:
            assert answer.status == 200
            is_page = answer.headers.get_content_type() == "text/html" and page.endswith("/")
            content = answer.read().decode(errors="replace")
        if is_page and "Directory listing for" not in content:
            targets = {urldefrag(urljoin(page, link)).url for link in _Links(content).found}
            assert all(target.startswith(address) for target in targets)
            waiting |= targets - seen
    assert len(seen) > 60


def test_pages_are_dark_where_the_reader_asked_for_it(served, browse):
    wanted = [("/mirror/starlingx/", 1200)]
    (light,) = look(served, browse, wanted)
    (dark,) = look(served, browse, wanted, "--force-dark-mode")
    assert light["paper"] == "rgb(245, 247, 251)"
    assert dark["paper"] == "rgb(11, 18, 32)"
