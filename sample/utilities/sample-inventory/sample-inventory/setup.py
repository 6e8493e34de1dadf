# SPDX-License-Identifier: Apache-2.0
from setuptools import setup

setup(
    name="sample-inventory",
    version="1.0",
    description="Lists what hardware a system has",
    license="Apache-2.0",
    packages=["sample_inventory"],
)
