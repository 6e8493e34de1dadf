# SPDX-License-Identifier: Apache-2.0
"""What `run-as-builder` consists of: places, the view, the processes in it."""
