#!/bin/sh
# Ends the daemon when the package goes, and not when another version comes: dpkg says "remove", rpm how many are left.
set -e
case "$1" in remove | 0) ;; *) exit 0 ;; esac
if [ -d /run/systemd/system ]; then systemctl --quiet disable --now kamald.service kamald.socket; fi
