#!/bin/bash
# Links the downloads that this project's download named into $MY_REPO/stx/downloads.
# usage: populate_downloads.sh <mirror directory, holding downloads>
set -eu
mirror=${1:?usage: $(basename "$0") <mirror directory>}
index="$mirror/${PROJECT:-default}.lst"
to="${MY_REPO:?MY_REPO is not set}/stx/downloads"
[ -f "$index" ] || { echo "ERROR: $index does not exist; run download_mirror.sh first" >&2; exit 1; }

rm -rf "$to"
mkdir -p "$to"
missing=0
while read -r file; do
    case $file in
    downloads/*) ;;
    *) continue ;;
    esac
    if [ -f "$mirror/$file" ]; then
        ln -s "$mirror/$file" "$to/"
    else
        echo "ERROR: $mirror/$file is missing; run download_mirror.sh again" >&2
        missing=1
    fi
done <"$index"
exit $missing
