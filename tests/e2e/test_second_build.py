"""A forced build of unchanged sources: the ISO again, the gate again, no package a second time."""

from __future__ import annotations

from conftest import get, latest


def sums(build_id: str) -> dict[str, str]:
    with get(f"{build_id}/SHA256SUMS") as response:
        lines = response.read().decode().splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def test_unchanged_sources_are_not_built_without_force(builder):
    before = latest()["id"]
    done = builder.stx_mirror("build", "master", "--reason", "test")
    assert "nothing new" in done.stdout.lower()
    assert latest()["id"] == before


def test_a_forced_build_makes_the_iso_but_no_package_again(builder, mirror):
    before = latest()
    builder.stx_mirror("build", "master", "--force", "--reason", "test")
    after = latest()
    assert after["id"] > before["id"]
    assert after["previous_good"] == before["id"]
    assert after["packages"]["built"] == 0
    assert after["packages"]["reused"] > 0
    assert {name: verdict["result"] for name, verdict in after["sanity"].items()} == dict.fromkeys(
        after["sanity"], "ok"
    )
    assert after["iso"]["sha256"] != before["iso"]["sha256"]

    old, new = sums(before["id"]), sums(after["id"])
    rpms = [path for path in new if path.endswith(".rpm")]
    assert rpms
    assert {path: new[path] for path in rpms} == {path: old[path] for path in rpms}

    # What the mirror had already was not sent, it is linked: one inode with the older build.
    inodes = mirror.script(
        f"cd /srv/mirror/public && stat -c %i {before['id']}/{rpms[0]} {after['id']}/{rpms[0]}"
    ).split()
    assert inodes[0] == inodes[1]


def test_installed_system_reported_the_builds_id():
    """Installed from the ISO's own packages, started, and loaded."""
    record = latest()
    with get(f"{record['id']}/outputs/logs/") as listing:
        assert listing.status == 200
    assert record["sanity"]["installed-boot"]["result"] == "ok"
    assert record["sanity"]["boot-uefi"]["result"] == "ok"


def test_container_image_can_be_pulled_from_the_registry(builder):
    image = latest()["images"][0]
    builder.run("skopeo", "inspect", "--tls-verify=false", f"docker://{image}", user="builder")
