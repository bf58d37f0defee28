#!/bin/sh
# Makes the user, and its directory; starts nothing: what it drives stands in a file that is not written yet.
set -e
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers kamald.conf
elif ! getent passwd kamald >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/kamald --no-create-home --shell /usr/sbin/nologin kamald
fi
chown root:kamald /etc/kamald
chmod 0750 /etc/kamald
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
