#!/bin/sh
# See imagebuild/images.py; --help tells the options.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here/.." PYTHONDONTWRITEBYTECODE=1 exec python3 -m imagebuild.images build-stx-images.sh "$@"
