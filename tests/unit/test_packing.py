"""What a mirror's one file carries to check values by schemas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from stxmirror import schema
from stxmirror.mirror import zipapp

CHECK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from stxmirror import schema
print(json.dumps(schema.problems(json.load(sys.stdin), schema.load("build-1"))))
"""


@pytest.mark.parametrize("python", ["/usr/bin/python3", "python3.9"])
def test_a_packed_program_decides_as_the_checker_does(tmp_path, good_record, python):
    """With nothing but Python: neither fastjsonschema nor this project is installed there."""
    if subprocess.run([shutil.which(python) or "false", "-c", ""], check=False).returncode:
        pytest.skip(f"needs {python}")
    program = tmp_path / "mirrorctl"
    program.write_bytes(zipapp.pack())
    bad = {**good_record, "iso": {"path": ""}, "stages": [{"name": "X"}], "id": None}
    for record in (good_record, bad):
        done = subprocess.run(
            [python, "-I", "-c", CHECK, str(program)],
            input=json.dumps(record),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == schema.problems(record, schema.load("build-1"))


def test_a_packed_program_names_the_licence_of_what_it_carries(tmp_path):
    program = tmp_path / "mirrorctl"
    program.write_bytes(zipapp.pack())
    with zipfile.ZipFile(program) as archive:
        assert b"Redistributions" in archive.read("fastjsonschema/LICENSE")


def test_same_sources_make_the_same_program(tmp_path):
    """Or the second provisioning run would install it again; Python's order of sets may differ."""
    packed = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-m", "stxmirror.mirror.zipapp", str(out)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        packed.append(out.read_bytes())
    assert packed[0] == packed[1]
