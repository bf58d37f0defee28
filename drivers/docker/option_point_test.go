package docker

import "strings"

// point is options, each of which must come back from the engine as it was asked for.
type point struct {
	name    string
	options map[string][]string
}

// fixedPoints can be made and read back on any engine that runs on a usual kernel.
var fixedPoints = []point{
	{"no options", nil},
	{"memory alone", map[string][]string{"memory": {"67108864"}}},
	{"memory with twice the swap", map[string][]string{"memory": {"67108864"}, "memory-swap": {"134217728"}}},
	{"memory without swap", map[string][]string{"memory": {"67108864"}, "memory-swap": {"67108864"}}},
	{"memory with unlimited swap", map[string][]string{"memory": {"67108864"}, "memory-swap": {"-1"}}},
	{"memory reservation", map[string][]string{"memory": {"67108864"}, "memory-reservation": {"33554432"}}},
	{"shared memory", map[string][]string{"shm-size": {"1048576"}}},
	{"shared memory of the usual size", map[string][]string{"shm-size": {"67108864"}}},
	{"CPUs", map[string][]string{"cpus": {"500000000"}, "cpu-shares": {"512"}, "cpuset-cpus": {"0"}}},
	{"CPU period and quota", map[string][]string{"cpu-period": {"100000"}, "cpu-quota": {"50000"}, "cpuset-mems": {"0"}}},
	{"process limit", map[string][]string{"pids-limit": {"100"}}},
	{"no process limit, as -1", map[string][]string{"pids-limit": {"-1"}}},
	{"limits in short form", map[string][]string{"ulimit": {"nofile=1024", "nproc=10:20"}}},
	{"capabilities", map[string][]string{"cap-add": {"NET_ADMIN", "SYS_NICE"}, "cap-drop": {"ALL"}}},
	{"capabilities by their whole names", map[string][]string{"cap-add": {"CAP_SYS_NICE"}}},
	{"user and directory", map[string][]string{"user": {"1000:1000"}, "workdir": {"/etc"}}},
	{"flags that are set", map[string][]string{"init": {"true"}, "read-only": {"true"}, "tty": {"true"}, "interactive": {"true"}, "publish-all": {"true"}}},
	{"flags that are off", map[string][]string{"init": {"false"}, "read-only": {"false"}, "privileged": {"false"}, "no-healthcheck": {"false"}}},
	{"privileged", map[string][]string{"privileged": {"true"}}},
	{"hosts and resolvers", map[string][]string{"add-host": {"a:10.0.0.1", "b=10.0.0.2", "c:host-gateway"}, "dns": {"10.0.0.9", "10.0.0.8"}, "dns-search": {"b.test", "a.test"}, "dns-option": {"ndots:1"}}},
	{"ports", map[string][]string{"publish": {"127.0.0.1:18080:80", "127.0.0.1:18081:81/udp"}}},
	{"a port on any address", map[string][]string{"publish": {"18082:80"}}},
	{"a port of the engine's choice", map[string][]string{"publish": {"80"}}},
	{"a range of ports", map[string][]string{"publish": {"127.0.0.1:18083-18084:80-81"}}},
	{"one port of a range", map[string][]string{"publish": {"18090-18099:80"}}},
	{"a port of IPv6", map[string][]string{"publish": {"[::1]:18085:80"}}},
	{"ports that are exposed", map[string][]string{"expose": {"9000", "9100-9101/udp"}}},
	{"file systems in memory", map[string][]string{"tmpfs": {"/run", "/tmp:size=1048576,mode=1777"}}},
	{"security options", map[string][]string{"security-opt": {"no-new-privileges", "seccomp=unconfined"}}},
	{"a profile, and paths of the system", map[string][]string{"security-opt": {`seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`, "systempaths=unconfined"}}},
	{"security options of a privileged container", map[string][]string{"privileged": {"true"}, "security-opt": {"apparmor=unconfined"}}},
	{"kernel settings", map[string][]string{"sysctl": {"net.core.somaxconn=1024"}}},
	{"aliases", map[string][]string{"network-alias": {"web", "app"}}},
	{"a device", map[string][]string{"device": {"/dev/null:/dev/empty:r"}, "device-cgroup-rule": {"c 189:* rwm"}}},
	{"a device in short form", map[string][]string{"device": {"/dev/null"}}},
	{"graphics cards", map[string][]string{"gpus": {"count=all,capabilities=utility"}}},
	{"graphics cards by number and by name", map[string][]string{"gpus": {"2", `driver=nvidia,"device=0,GPU-3","options=a=1,b=2"`}}},
	{"entrypoint", map[string][]string{"entrypoint": {"/app", "exit"}}},
	{"no entrypoint", map[string][]string{"entrypoint": {""}}},
	{"host name", map[string][]string{"hostname": {"shop"}, "domainname": {"test"}}},
	{"groups and score", map[string][]string{"group-add": {"20", "10"}, "oom-score-adj": {"100"}}},
	{"namespaces", map[string][]string{"ipc": {"shareable"}, "pid": {"host"}, "uts": {"host"}, "userns": {"host"}}},
	{"runtime and control group", map[string][]string{"runtime": {"runc"}, "cgroup-parent": {"/kamald-test"}}},
	{"isolation, which Linux has one of", map[string][]string{"isolation": {"default"}}},
	{"mounts", map[string][]string{"mount": {
		"type=bind,source=/etc,target=/host-etc,readonly,bind-propagation=rslave", "type=bind,source=/var,target=/host-var,bind-recursive=disabled",
		"type=tmpfs,target=/fast,tmpfs-size=1048576,tmpfs-mode=1770", `type=volume,target=/anon,volume-nocopy,volume-label=a=b,volume-driver=local,"volume-opt=o=size=1m,uid=0",volume-opt=type=tmpfs,volume-opt=device=tmpfs`}}},
	{"a mount in other words", map[string][]string{"mount": {"type=bind,ro,dst=/host-etc,src=/etc"}}},
	{"a driver of volumes", map[string][]string{"volume-driver": {"local"}}},
	{"a check of health", map[string][]string{"health-cmd": {"/app exit"}, "health-interval": {"90s"}, "health-timeout": {"5s"}, "health-start-period": {"1m"}, "health-retries": {"7"}}},
	{"a check of health in part", map[string][]string{"health-retries": {"4"}}},
	{"no check of health", map[string][]string{"no-healthcheck": {"true"}}},
}

// elsewherePoints need a newer engine, another container, a network with addresses of its own, or a kernel with more to it.
var elsewherePoints = []point{
	{"annotations", map[string][]string{"annotation": {"a=b", "c="}}},
	{"control groups of its own", map[string][]string{"cgroupns": {"host"}}},
	{"a check at the start", map[string][]string{"health-start-interval": {"500ms"}}},
	{"addresses", map[string][]string{"ip": {"172.30.100.104"}, "ip6": {"2001:db8::33"}, "link-local-ip": {"169.254.34.68"}, "mac-address": {"92:d0:c6:0a:29:33"}}},
	{"links", map[string][]string{"link": {"db", "shop-cache:cache"}}},
	{"volumes of another", map[string][]string{"volumes-from": {"data:ro", "more"}}},
	{"a platform", map[string][]string{"platform": {"linux/arm64/v8"}}},
	{"devices of vendors", map[string][]string{"device": {"vendor.com/class=one", "vendor.com/class=two", "/dev/null"}, "gpus": {"all"}}},
	{"swappiness", map[string][]string{"memory-swappiness": {"60"}}},
	{"a kernel that kills nobody", map[string][]string{"memory": {"67108864"}, "oom-kill-disable": {"true"}}},
	{"weights", map[string][]string{"blkio-weight": {"300"}, "blkio-weight-device": {"/dev/sda:400"}}},
	{"rates", map[string][]string{"device-read-bps": {"/dev/sda:1mb"}, "device-write-bps": {"/dev/sda:1kb", "/dev/sdb:5"}, "device-read-iops": {"/dev/sda:100"}, "device-write-iops": {"/dev/sda:100"}}},
	{"real time", map[string][]string{"cpu-rt-period": {"1000000"}, "cpu-rt-runtime": {"950000"}}},
	{"a size of its own", map[string][]string{"storage-opt": {"size=120G"}}},
	{"new kinds of mounts", map[string][]string{"mount": {"type=image,source=acme/data:1,target=/i,image-subpath=x", "type=volume,source=data,target=/v,volume-subpath=x",
		"type=bind,source=/a,target=/b,readonly,bind-propagation=rprivate,bind-recursive=readonly,bind-create-src"}}},
	{"a long profile", map[string][]string{"security-opt": {`seccomp={"defaultAction":"SCMP_ACT_ALLOW","x":"` + strings.Repeat("y", 5000) + `"}`}}},
}
