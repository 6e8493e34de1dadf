#!/bin/sh
# One package in a root that is thrown away. Runs as root of new user, mount, network, host name
# and process name spaces (unshare), so that it needs no privilege, reaches no network, and
# leaves nothing: mounts, files and processes end with it.
#
# usage: in_root.sh <base root> <scratch directory> <tmpfs|disk> <source rpm> <results> <macros> [rpm...]
# Exit code 10: the root could not be set up (BuildRequires); 20: the package did not build.
set -eu
base=$1 scratch=$2 medium=$3 srpm=$4 results=$5 macros=$6
shift 6
umask 022

[ "$medium" = disk ] || mount -t tmpfs -o mode=755,size=90% tmpfs "$scratch"
mkdir -p "$scratch/upper" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work,userxattr" overlay "$root"

# A container may not mount a new /proc, and nobody without privilege may make device nodes:
# those there are serve.
mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/shm"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
hostname reproducible

mkdir -p "$root/builddir/install" "$root/builddir/build" "$root/etc/rpm"
cp "$macros" "$root/etc/rpm/macros.tis"
cp "$srpm" "$root/builddir/package.src.rpm"
for rpm in "$@"; do
    cp "$rpm" "$root/builddir/install/"
done

inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/builddir LC_ALL=C.UTF-8 \
        TZ=UTC SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" "$@" </dev/null
}

{
    if [ $# -gt 0 ]; then
        inside sh -c 'rpm --upgrade --verbose --nosignature /builddir/install/*.rpm' || exit 10
    fi
    inside ldconfig -X || exit 10
    inside rpm --define '_topdir /builddir/build' --install --nosignature /builddir/package.src.rpm || exit 10
} >"$results/root.log" 2>&1

inside sh -c 'rpmbuild --define "_topdir /builddir/build" -bb /builddir/build/SPECS/*.spec' \
    >"$results/build.log" 2>&1 || exit 20
find "$root/builddir/build/RPMS" -name '*.rpm' -exec cp --preserve=timestamps {} "$results/" ';'
