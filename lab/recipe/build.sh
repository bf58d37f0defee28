#!/bin/sh
# Makes the root file system of a lab host and writes it as a tar archive.
#
#   build.sh SUITE MIRROR COMPONENTS WORK_DIR OUTPUT_TAR
#
# Everything comes from the one package mirror given; nothing else is fetched. What may change more often than the
# packages (recipe/host) is laid into each container when it is made.
set -eu
suite=$1 mirror=$2 components=$3 work=$4 output=$5
root=$work/root

packages=openssh-server,docker.io,docker-registry,iptables,ca-certificates,curl,procps,iproute2

if proxy=$(apt-config dump 'Acquire::http::Proxy' --format '%v' 2>/dev/null) && [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
	export http_proxy="$proxy"
fi

# Locales, manuals and documentation are a third of a minimal system and serve nobody here.
DEBIAN_FRONTEND=noninteractive debootstrap --variant=minbase --components="$components" \
	--include="$packages" "$suite" "$root" "$mirror"

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/* \
	"$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/usr/share/info/* \
	"$root"/var/log/* "$root"/var/lib/docker "$root"/tmp/*
# Host keys belong to a host and not to the image: every container is given its own.
rm -f "$root"/etc/ssh/ssh_host_*
# The mirror's address is this machine's business.
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*

mkdir -p "$root/run/sshd" "$root/var/log" "$root/etc/docker" "$root/etc/ssh/lab" "$root/etc/lab"
chroot "$root" groupadd --system --force docker
chroot "$root" useradd --create-home --shell /bin/bash --groups docker deploy
# Without a password field of its own sshd takes the account for a locked one.
chroot "$root" usermod --password '*' deploy
: >"$root/root/.hushlogin"

tar --numeric-owner --one-file-system -C "$root" -cf "$output" .
