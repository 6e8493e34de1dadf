#!/bin/sh
# Downloads what a build starts from. Run it from anywhere; --help tells the options.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 exec python3 -m mirrortools.download "$@"
