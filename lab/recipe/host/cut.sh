#!/bin/sh
# lab-cut on|off: drops every packet between this host and the lab's network, both ways, or ends that. Nothing is
# refused, so open connections hang as they do when a cable is pulled.
set -eu

rule() { # ACTION CHAIN DIRECTION
	iptables -w "$1" "$2" "$3" eth0 -m comment --comment lab-cut -j DROP
}

for place in "INPUT -i" "OUTPUT -o" "FORWARD -i" "FORWARD -o"; do
	chain=${place% *} direction=${place#* }
	while rule -D "$chain" "$direction" 2>/dev/null; do :; done
	if [ "$1" = on ]; then
		rule -I "$chain" "$direction"
	fi
done
