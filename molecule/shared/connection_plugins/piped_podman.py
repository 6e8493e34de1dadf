# SPDX-License-Identifier: Apache-2.0
"""Connection piped_podman: into a container of the tests, with one `podman exec` for a module."""

from __future__ import annotations

DOCUMENTATION = """
name: piped_podman
short_description: The podman connection, with pipelining
version_added: "0.2.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - The one of containers.podman starts podman five times for a module, which costs more than
    the module; this one starts it once, and gives the module to Python on its standard input.
options:
  remote_addr:
    description: The container's name.
    type: string
    default: inventory_hostname
    vars:
      - name: ansible_host
      - name: inventory_hostname
  remote_user:
    description: The account in the container.
    type: string
    vars:
      - name: ansible_user
  podman_extra_args:
    description: Further options of podman.
    type: string
    default: ""
  podman_executable:
    description: The podman to call.
    type: string
    default: podman
"""

import shlex

from ansible_collections.containers.podman.plugins.connection.podman import (
    Connection as PodmanConnection,
)


class Connection(PodmanConnection):
    """The collection's own, but for what it does to run a command."""

    transport = "piped_podman"
    has_pipelining = True

    def _connect(self):
        """Leave mounting the container's files to what needs them."""
        self._connected = True
        return self

    def exec_command(self, cmd, in_data=None, sudoable=False):
        """Run a command; without ``--interactive`` podman would not pass ``in_data`` on."""
        options = ["exec"]
        if in_data is not None:
            options.append("--interactive")
        if self.user:
            options += ["--user", self.user]
        return self._podman(options, shlex.split(cmd), in_data)

    def put_file(self, in_path, out_path):
        """Copy a file into the container."""
        self._mount()
        super().put_file(in_path, out_path)

    def fetch_file(self, in_path, out_path):
        """Copy a file out of it."""
        self._mount()
        super().fetch_file(in_path, out_path)

    def _mount(self):
        if self._mount_point is None:
            super()._connect()
