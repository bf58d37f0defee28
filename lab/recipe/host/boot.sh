#!/bin/sh
# First process of a lab host (under the engine's init): makes the container fit for an inner
# Docker engine, then keeps sshd and dockerd running.
set -u

# The engine mounts these read-only when it may not start a privileged container. Control groups of the machine's own
# hierarchies are busy for a plain remount; it is the mount that must become writable, not the file system.
for dir in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
	if [ -d "$dir" ] && grep -q " $dir " /proc/self/mounts; then
		mount -o remount,bind,rw "$dir"
	fi
done
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	# Control groups v2 delegates nothing from a group that holds processes of its own.
	mkdir -p /sys/fs/cgroup/init
	while read -r pid; do echo "$pid" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true; done </sys/fs/cgroup/cgroup.procs
	for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
	done
fi

rm -rf /run/docker.pid /var/run/docker.pid /run/containerd /run/docker
mkdir -p /run/sshd

for flavour in nft legacy; do
	if "iptables-$flavour" -t nat -L -n >/dev/null 2>&1; then
		ln -sf "/usr/sbin/iptables-$flavour" /etc/alternatives/iptables
		ln -sf "/usr/sbin/ip6tables-$flavour" /etc/alternatives/ip6tables
		break
	fi
done


/usr/sbin/sshd -D -E /var/log/lab-sshd.log &

# A loop, so that an engine killed by a test comes back as it does under systemd.
(
	while :; do
		/usr/sbin/dockerd >>/var/log/lab-dockerd.log 2>&1
		rm -f /run/docker.pid
		sleep 0.2
	done
) &

trap 'kill $(cat /run/docker.pid 2>/dev/null) 2>/dev/null; exit 0' TERM INT
while :; do
	sleep 3600 &
	wait $!
done
