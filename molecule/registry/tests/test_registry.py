"""A registry that images can be pushed to and fetched from."""

from __future__ import annotations

import pytest

URL = "127.0.0.1:5001"


def test_service_runs_and_comes_back(host):
    service = host.service("docker-registry")
    assert service.is_running, host.run("journalctl -u docker-registry -n 30").stdout
    assert service.is_enabled


def test_listens_where_it_was_told_to_and_nowhere_else(host):
    """It lets anybody push: an address too many is an open door."""
    assert host.socket("tcp://127.0.0.1:5001").is_listening
    listening = host.check_output("ss -Hltn sport = :5001").split()
    assert "0.0.0.0:5001" not in listening
    assert "*:5001" not in listening
    assert not host.socket("tcp://5000").is_listening


@pytest.fixture
def image(host):
    """An image with one file in it, as a directory that skopeo can push."""
    host.check_output(
        "sh -ec 'rm -rf /var/tmp/image; mkdir -p /var/tmp/image/root; cd /var/tmp/image;"
        " echo hello >root/greeting;"
        " buildah --storage-driver vfs from --name work scratch;"
        " buildah --storage-driver vfs copy work root /;"
        " buildah --storage-driver vfs commit work dir:/var/tmp/image/made;"
        " buildah --storage-driver vfs rm work'"
    )
    return "dir:/var/tmp/image/made"


def test_image_comes_back_as_it_was_pushed(host, image):
    """The registry's only job, with the tools that builds use."""
    there = f"docker://{URL}/stx/sample:dev"
    host.check_output(f"skopeo copy --dest-tls-verify=false {image} {there}")
    digest = host.check_output("skopeo inspect --tls-verify=false --format '{{.Digest}}' %s", there)
    assert digest.startswith("sha256:")
    host.check_output("rm -rf /var/tmp/image/back")
    host.check_output(f"skopeo copy --src-tls-verify=false {there} dir:/var/tmp/image/back")
    tags = host.check_output(f"curl -sS http://{URL}/v2/stx/sample/tags/list")
    assert '"dev"' in tags


def test_images_are_kept_where_the_inventory_says(host, image):
    """On the volume with room for them, in nobody else's hands."""
    host.check_output(f"skopeo copy --dest-tls-verify=false {image} docker://{URL}/stx/kept:dev")
    assert host.file("/srv/images/docker/registry/v2/repositories/stx/kept").is_directory
    assert host.file("/srv/images").user == "docker-registry"
    assert host.file("/srv/images").mode == 0o750


def test_image_can_be_deleted(host, image):
    """Or the disk only ever fills."""
    there = f"docker://{URL}/stx/gone:dev"
    host.check_output(f"skopeo copy --dest-tls-verify=false {image} {there}")
    host.check_output(f"skopeo delete --tls-verify=false {there}")
    assert host.run(f"skopeo inspect --tls-verify=false {there}").rc != 0
