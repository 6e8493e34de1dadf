#!/bin/bash
# Makes $MY_REPO/cgcs-centos-repo: links to the binary and source RPMs on the local mirror
# that this project's download named, with repository metadata.
# usage: generate-cgcs-centos-repo.sh <mirror directory, holding Binary and Source>
set -eu
mirror=${1:?usage: $(basename "$0") <mirror directory>}
index="$mirror/${PROJECT:-default}.lst"
repo="${MY_REPO:?MY_REPO is not set}/cgcs-centos-repo"
[ -f "$index" ] || { echo "ERROR: $index does not exist; run download_mirror.sh first" >&2; exit 1; }

rm -rf "$repo.new"
mkdir -p "$repo.new/Binary" "$repo.new/Source"
missing=0
while read -r file; do
    case $file in
    Binary/*.rpm | Source/*.rpm) ;;
    *) continue ;;
    esac
    if [ -f "$mirror/$file" ]; then
        mkdir -p "$repo.new/$(dirname "$file")"
        ln -s "$mirror/$file" "$repo.new/$file"
    else
        echo "ERROR: $mirror/$file is missing; run download_mirror.sh again" >&2
        missing=1
    fi
done <"$index"
[ $missing -eq 0 ]
for side in Binary Source; do
    createrepo_c --quiet "$repo.new/$side"
done
rm -rf "$repo"
mv "$repo.new" "$repo"
