#!/bin/sh
# Process 1 of the guest: runs the tests on the host's files, which it can read and not write, and switches off.
# From the kernel's command line: UML_ROOT the checkout, UML_OUT the one folder to write to, UML_ARGS for vitest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TMPDIR=/dev/shm NO_COLOR=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t hostfs -o "$UML_OUT" none "$UML_OUT"
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ip link set lo up
cd "$UML_ROOT" || exit 1
{
  node_modules/.bin/node node_modules/vitest/vitest.mjs run --config test/uml/vitest.config.ts --configLoader native \
    --reporter=default --reporter=json --outputFile.json="$UML_OUT/report.json" $UML_ARGS
  echo $? >"$UML_OUT/code"
} 2>&1 | cat
echo o >/proc/sysrq-trigger
exec sleep 60
