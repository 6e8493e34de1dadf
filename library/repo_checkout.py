#!/usr/bin/python3
"""Bring a `repo` checkout to its manifest, whatever state a killed build left it in."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: repo_checkout
short_description: Checks out a repo manifest, cleanly
description:
  - Asks the manifest's repository first, so that one which does not answer is reported in
    seconds and by name, then runs C(repo init) and C(repo sync).
  - Whatever a killed build left behind is put right first. Locks, half-done rebases, changed
    and untracked files go; a git that is damaged is fetched again.
  - Needs no terminal, asks for nothing, and runs no shell.
options:
  root:
    description: The directory of the checkout (StarlingX's MY_REPO_ROOT_DIR). It must exist.
    type: path
    required: true
  context_file:
    description: Where to write CONTEXT. Its directory must exist.
    type: path
  url:
    description: Where the manifest's repository is.
    type: str
    required: true
  file:
    description: The manifest's file in it.
    type: str
    default: default.xml
  branch:
    description: Branch or tag of the manifest's repository; a branch goes before a tag.
    type: str
    required: true
  stream:
    description: Whose manifest this is, for messages.
    type: str
    required: true
  repo:
    description: The C(repo) command.
    type: list
    elements: str
    default: [repo]
  jobs:
    description: How many repositories are fetched at a time.
    type: int
    default: 4
  attempts:
    description: How often a step that the network may have spoilt is tried in all.
    type: int
    default: 3
  delay:
    description: Seconds before the second attempt; they double with each one.
    type: float
    default: 5
  probe_timeout:
    description: Seconds in which the manifest's repository has to answer.
    type: float
    default: 20
  sync_timeout:
    description: Seconds that one C(repo sync) may take.
    type: float
    default: 3600
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: Bring the sources to their manifest
  repo_checkout:
    root: /localdisk/designer/builder/master
    url: git://127.0.0.1/sample/manifest.git
    branch: master
    stream: master
  become: true
  become_user: builder
"""

RETURN = r"""
commits:
  description: The commit of each git by its path below I(root), in the order of C(repo list).
  type: dict
  returned: always, empty in check mode
context:
  description:
    - The same as StarlingX's CONTEXT has it, a shell line for each git. Release tools parse it.
  type: str
  returned: always, empty in check mode
manifest_revision:
  description: The commit of the manifest's repository.
  type: str
  returned: always, empty in check mode
mended:
  description: What was put right before the sync, a sentence each.
  type: list
  elements: str
  returned: always
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.repo_gits import Checkout, CheckoutError, run


def find_revision(params):
    """Ask the manifest's repository for the branch or tag, and return what repo is to check out.

    This is where a wrong URL, a dead server and a missing branch are told apart.
    """
    url, branch = params["url"], params["branch"]
    heads, tags = "refs/heads/" + branch, "refs/tags/" + branch
    command = ["git", "ls-remote", "--", url, heads, tags]
    whose = f"the manifest of stream {params['stream']}"
    said = ""
    for attempt in range(params["attempts"]):
        if attempt:
            time.sleep(params["delay"] * 2 ** (attempt - 1))
        code, out, said = run(command, "/", params["probe_timeout"])
        if code == 0:
            names = [line.split("\t")[-1] for line in out.splitlines()]
            if heads in names:
                return branch
            if tags in names:
                return tags
            raise CheckoutError(
                f"{whose} at {url} has no branch or tag {branch!r}: create it there, or name "
                "another one as manifest.branch of the stream"
            )
    raise CheckoutError(
        f"{whose} at {url} does not answer, tried {params['attempts']} times ({said}): check "
        "manifest.url of the stream and that this host reaches it, then build again"
    )


def fetch(checkout, params, revision):
    """Run repo init and repo sync until both succeed; the last failure is raised."""
    repo, root = params["repo"], str(checkout.root)
    init = ["init", "--quiet", "--manifest-url=" + params["url"]]
    init += ["--manifest-branch=" + revision, "--manifest-name=" + params["file"]]
    sync = ["sync", "--quiet", f"--jobs={params['jobs']}", "--current-branch", "--detach"]
    sync += ["--force-sync", "--force-remove-dirty", "--no-tags", "--no-clone-bundle"]
    for attempt in range(params["attempts"]):
        if attempt:
            time.sleep(params["delay"] * 2 ** (attempt - 1))
        checkout.mend(thorough=attempt > 0)
        step = "repo init"
        code, _, said = run([*repo, *init], root, params["sync_timeout"])
        if code == 0:
            step = "repo sync"
            code, _, said = run([*repo, *sync], root, params["sync_timeout"])
        if code == 0:
            return
    raise CheckoutError(
        f"{step} of stream {params['stream']} (manifest {params['file']} at {params['url']}, "
        f"{revision}) failed {params['attempts']} times: {said}. See which repository it names, "
        "check that this host reaches it, then build again"
    )


def commits_of(checkout, params):
    """Return ``{path: commit}`` of every git, in the order in which repo lists them."""
    code, out, said = run([*params["repo"], "list", "--path-only"], str(checkout.root), 120)
    if code != 0:
        raise CheckoutError(f"repo list failed in {checkout.root}: {said}")
    commits = {}
    for path in out.split("\n"):
        if path:
            code, commit, said = checkout.git(checkout.root / path, "rev-parse", "HEAD")
            if code != 0:
                raise CheckoutError(f"{path} in {checkout.root} has no commit: {said}")
            commits[path] = commit.strip()
    return commits


def render_context(commits):
    """Return CONTEXT, whose line shape StarlingX's release tools parse."""
    return "".join(
        f"(cd ./{path} && git checkout -f {commit})\n" for path, commit in commits.items()
    )


def write(name, text):
    """Replace a file as a whole if it differs; return whether it did."""
    path = Path(name)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return True


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "context_file": {"type": "path"},
            "url": {"type": "str", "required": True},
            "file": {"type": "str", "default": "default.xml"},
            "branch": {"type": "str", "required": True},
            "stream": {"type": "str", "required": True},
            "repo": {"type": "list", "elements": "str", "default": ["repo"]},
            "jobs": {"type": "int", "default": 4},
            "attempts": {"type": "int", "default": 3},
            "delay": {"type": "float", "default": 5},
            "probe_timeout": {"type": "float", "default": 20},
            "sync_timeout": {"type": "float", "default": 3600},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=True, commits={}, context="", manifest_revision="", mended=[])
    checkout = Checkout(Path(params["root"]), params["sync_timeout"])
    try:
        revision = find_revision(params)
        before = checkout.heads()
        fetch(checkout, params, revision)
        commits = commits_of(checkout, params)
        code, manifest, said = checkout.git(checkout.dot_repo / "manifests", "rev-parse", "HEAD")
        if code != 0:
            raise CheckoutError(f"the manifest in {checkout.root} has no commit: {said}")
        context = render_context(commits)
        is_new_context = bool(params["context_file"]) and write(params["context_file"], context)
    except CheckoutError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename or params['root']}: {error.strerror}. The builder has to own "
            f"all of {params['root']} and repo and git have to be installed"
        )
    module.exit_json(
        changed=commits != before or bool(checkout.mended) or is_new_context,
        commits=commits,
        context=context,
        manifest_revision=manifest.strip(),
        mended=checkout.mended,
    )


if __name__ == "__main__":
    main()
