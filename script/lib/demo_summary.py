"""Says what the demo made: where its page is, what was built, how long each part took."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

URL = "http://127.0.0.1:8080/mirror/starlingx/"


def fetch_json(path: str):
    with urllib.request.urlopen(URL + path) as response:  # noqa: S310 - a constant http address
        return json.load(response)


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def main(times_file: str, total: str) -> None:
    record = fetch_json("master/sample/latest_build/build.json")
    builds = fetch_json("builds.json")["builds"]
    iso = record["iso"]
    packages = record["packages"]
    print(f"\nThe mirror's page:  {URL}\n")
    print(f"Built        {record['id']}: {packages['built']} packages, {packages['reused']} reused")
    print(f"ISO          {URL}{record['id']}/{iso['path']}")
    print(f"             {iso['size'] / 1e6:.0f} MB, sha256 {iso['sha256']}")
    for image in record["images"]:
        print(f"Image        {image}")
    for name, verdict in record["sanity"].items():
        print(f"Sanity       {name}: {verdict['result']}, {verdict['seconds']:.0f} s")
    print(f"On the mirror now: {len(builds)} builds\n")
    print("How long each part took (minutes:seconds)")
    for line in Path(times_file).read_text(encoding="utf-8").splitlines():
        seconds, name = line.split("\t", 1)
        print(f"  {minutes(int(seconds)):>6}  {name}")
    print(f"  {minutes(int(total)):>6}  all of it\n")
    print(
        "Try next\n"
        "  ssh -F .cache/demo/ssh/config builder sudo -u orchestrator -i stx-mirror status\n"
        "  ssh -F .cache/demo/ssh/config builder sudo -u orchestrator -i"
        " stx-mirror build master --force --reason 'my first'\n"
        "  ansible-playbook -i inventories/demo playbooks/provision.yml    (changes nothing)\n"
        "  script/demo --down                                              (removes it all)"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
