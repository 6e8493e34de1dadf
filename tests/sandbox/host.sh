#!/bin/sh
# A build host for the tests of run-as-builder: this machine's files, and changes that only its own mount
# name space sees. Called by unshare; it prints a line when it is ready, and lasts until it is killed.
set -eu

upper=$1
shift
root=$upper/root
mount -t tmpfs tmpfs "$upper"
mkdir "$upper/up" "$upper/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$upper/up,workdir=$upper/work" "$root"
for kernel in dev proc sys; do
    mount --rbind "/$kernel" "$root/$kernel"
done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/localdisk" "$root/import"
mount -t tmpfs -o size=256m tmpfs "$root/localdisk"

cd "$root"
# Ids that no account of the machine has.
grep -v '^builder:' /etc/passwd >etc/passwd.new && mv etc/passwd.new etc/passwd
grep -Ev '^(cgts|mock):' /etc/group >etc/group.new && mv etc/group.new etc/group
echo 'builder:x:54321:54751::/home/builder:/bin/bash' >>etc/passwd
echo 'builder:*:20000::::::' >>etc/shadow
printf '%s\n' 'cgts:x:54751:' 'mock:x:54751:builder' >>etc/group
install -d -m 0755 import home
install -d -m 0700 -o 54321 -g 54751 home/builder
install -d -m 3770 -g 54751 localdisk/designer localdisk/loadbuild
install -d -m 2750 -o 54321 -g 54751 localdisk/designer/builder localdisk/loadbuild/builder
install -d -m 2755 -o 54321 -g 54751 localdisk/designer/cache import/streams
install -d -m 0711 localdisk/loadbuild/sandbox
install -d -m 0755 localdisk/kept
install -d -m 0755 var/lib/stx-mirror var/log/stx-mirror
printf '[user]\n\tname = builder\n' >home/builder/.gitconfig
echo secret >var/lib/stx-mirror/key
echo secret >var/log/stx-mirror/cron.log

# What is installed there
install -d usr/local/libexec/stx-mirror
cp -r "$@" usr/local/libexec/stx-mirror
# So that no test waits for as long as a build may.
sed -i 's/^\(GRACE\|MEASURE\)_SECONDS = .*/\1_SECONDS = 2.0/' usr/local/libexec/stx-mirror/run_as_builder/processes.py

exec chroot . sh -c 'echo ready; exec sleep 100000'
