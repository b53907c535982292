#!/bin/bash
# Runs a command in network, process and mount namespaces of its own, loopback up.
# When the command ends, however it ends, the kernel ends whatever it had started and
# the devices it made are gone: nothing is left behind.
[ "$(id -u)" = 0 ] || { echo "inside.sh: needs root" >&2; exit 1; }
exec unshare --net --pid --mount --fork --kill-child --mount-proc -- \
	bash -c 'ip link set lo up && exec "$@"' inside "$@"
