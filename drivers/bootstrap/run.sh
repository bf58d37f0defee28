# run.sh DIR COMMAND...: runs a command that outlives the connection it was asked for over, and whoever asked. What it says goes into
# a file in DIR, which is shown as it grows: a pipe that breaks would end it in the middle of an installation. DIR is removed at the
# end; of a command that has failed it stays, for whoever asked may not hear of that, and is theirs to remove.
run() {
	dir=$1
	shift
	umask 022
	# A session of its own is out of reach of what ends this one. To ignore signals would not do: a daemon that the command starts
	# would ignore them too, and what is trapped here is not.
	apart=
	trap : INT TERM
	if command -v setsid >/dev/null 2>&1; then
		apart=setsid
		trap : HUP
	else
		trap '' HUP
	fi
	: >"$dir/log"
	$apart tail -f "$dir/log" 2>/dev/null &
	shown=$!
	# The command takes the place of the shell that has noted its number.
	$apart sh -c 'echo $$ >"$0/pid"; exec "$@"' "$dir" "$@" >>"$dir/log" 2>&1 </dev/null
	code=$?
	rm -f "$dir/pid"
	sleep 1 # for what was said last to be shown
	kill "$shown" 2>/dev/null
	if [ "$code" -ne 0 ]; then
		tail -n 20 "$dir/log" >&2
		exit "$code"
	fi
	rm -rf "$dir"
	exit 0
}
run "$@"
