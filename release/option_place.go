package release

// optionAlias are docker's second names for an option.
var optionAlias = map[string]string{"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}

// shortOptions are docker's one-letter names, for whoever writes one.
var shortOptions = map[string]string{
	"a": "attach", "c": "cpu-shares", "d": "detach", "e": "env", "h": "hostname", "i": "interactive", "l": "label", "m": "memory",
	"p": "publish", "P": "publish-all", "q": "quiet", "t": "tty", "u": "user", "v": "volume", "w": "workdir",
}

// refusedOption is why an option does not stand in options: place is the setting that has its place, "" when none has.
type refusedOption struct{ place, why string }

const (
	decided     = "kamald decides it itself"
	windowsOnly = "it is for engines on Windows, and an engine on Linux would drop it in silence"
)

// refusedOptions are the options of docker run that stand nowhere in options.
var refusedOptions = map[string]refusedOption{
	"network":    {"network", "a container's network is `network` at the top of the file (an accessory has its own)"},
	"net":        {"network", "a container's network is `network` at the top of the file (an accessory has its own)"},
	"env-file":   {"env", "variables stand in env { clear = { … } }, and secret ones in .kamald/secrets with their names in env { secret = [ … ] }"},
	"label-file": {"labels", "labels stand in labels = { … }, which can be read from a file: jsondecode(file(\"labels.json\"))"},

	"attach":      {"", "kamald starts containers detached, and reads their output as logs"},
	"cidfile":     {"", decided + ": it knows containers by their names and labels"},
	"detach":      {"", decided + ": containers run detached"},
	"detach-keys": {"", "nobody is attached to a container that kamald starts"},
	"help":        {"", "it asks docker for its help"},
	"name":        {"", decided + ": a container is <service>-<role>-<version>"},
	"pull":        {"", decided + ": the image is pulled or carried before anything is stopped"},
	"quiet":       {"", "it is about what docker prints"},
	"rm":          {"", decided + ": old containers are kept for a rollback, as many as retain_containers says"},
	"sig-proxy":   {"", "nobody is attached to a container that kamald starts"},

	"disable-content-trust": {"", "it asks the docker client to check no signatures, and kamald pins the image's digest"},
	"use-api-socket":        {"", "it is the docker client's own, which copies its logins into the container; mount /var/run/docker.sock where that is meant"},
	"kernel-memory":         {"", "kernels and the Engine API have it no more (since API 1.42)"},
	"cpu-count":             {"", windowsOnly},
	"cpu-percent":           {"", windowsOnly},
	"io-maxbandwidth":       {"", windowsOnly},
	"io-maxiops":            {"", windowsOnly},
}
