"""``python -m stxmirror.mirror`` and the zip application's start."""

from __future__ import annotations

import sys

from stxmirror.mirror.cli import main

if __name__ == "__main__":
    sys.exit(main())
