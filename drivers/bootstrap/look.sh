# Says what this host has to install and start an engine with, as lines NAME=VALUE, and changes nothing.
look() {
	LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin
	export LC_ALL PATH
	echo "user=$(id -un)"
	echo "groups=$(id -nG)"
	for name in docker dockerd curl wget usermod addgroup apt-get dnf yum zypper apk systemctl rc-service service; do
		if command -v "$name" >/dev/null 2>&1; then echo "has=$name"; fi
	done
	if wget --version </dev/null 2>&1 | grep -q GNU; then echo has=gnu-wget; fi
	if [ -S /var/run/docker.sock ]; then echo has=socket; fi
	if [ -d /run/systemd/system ]; then echo has=systemd; fi
	# An installation has no terminal, and a password that was typed at one counts only there.
	apart=
	if command -v setsid >/dev/null 2>&1; then apart=setsid; fi
	if [ "$(id -u)" = 0 ]; then
		echo become=root
		sh -c "$busy" 2>/dev/null </dev/null
	elif ! command -v sudo >/dev/null 2>&1; then
		echo "refused=there is no sudo"
	elif said=$($apart sudo -n true 2>&1 </dev/null); then
		echo become=sudo
		sudo -n sh -c "$busy" 2>/dev/null </dev/null
	else
		echo "refused=$(echo "$said" | tr '\n' ' ')"
	fi
	return 0
}
# run.sh has left the number of its command; that of one which is gone may be another's by now, and what it says goes elsewhere.
busy='for dir in /run/kamald-bootstrap.*; do
	if pid=$(cat "$dir/pid") && kill -0 "$pid"; then
		said=$(readlink "/proc/$pid/fd/1") || said=$dir/log
		if [ "$said" = "$dir/log" ]; then echo "busy=$dir"; fi
	fi
done'
look
