package docker

// clientLines are options as they stand on docker run's command line, without the dashes. "isolation" says what is so anyway.
var clientLines = [][]string{
	{"memory=512m"}, {"memory=1.5g"}, {"memory=1073741824"}, {"memory=64MiB"}, {"memory=512m", "memory-swap=1g"}, {"memory=512m", "memory-swap=-1"},
	{"memory-reservation=64m"}, {"memory-swappiness=60"}, {"memory-swappiness=0"}, {"memory-swappiness=-1"}, {"shm-size=256m"},
	{"cpus=2"}, {"cpus=0.5"}, {"cpus=.25"}, {"cpu-shares=512"}, {"cpu-period=50000"}, {"cpu-quota=25000"}, {"cpu-period=100000", "cpu-quota=-1"},
	{"cpu-rt-period=1000000"}, {"cpu-rt-runtime=950000"}, {"cpuset-cpus=0-3,7"}, {"cpuset-mems=0,1"}, {"pids-limit=100"}, {"pids-limit=-1"}, {"pids-limit=0"},
	{"oom-kill-disable=true"}, {"oom-kill-disable=false"}, {"oom-score-adj=-500"}, {"blkio-weight=300"}, {"cgroup-parent=/shop"},
	{"ulimit=nofile=1024"}, {"ulimit=nofile=1024:2048"}, {"ulimit=nproc=5", "ulimit=core=-1"}, {"ulimit=memlock=-1:-1"},
	{"storage-opt=size=120G"}, {"storage-opt=size=120G", "storage-opt=other=a=b"},

	{"device=/dev/fuse"}, {"device=/dev/sda:/dev/xvda"}, {"device=/dev/sda:r"}, {"device=/dev/sda:/dev/xvda:rw"}, {"device=/dev/fuse", "device=/dev/null:m"},
	{"device=/dev//snd/"}, {"device=vendor.com/class=name"}, {"device=nvidia.com/gpu=all", "device=/dev/fuse"}, {"device=vendor.com/class=b", "gpus=1"},
	{"device-cgroup-rule=c 189:* rwm"}, {"device-cgroup-rule=a *:* r", "device-cgroup-rule=b 8:0 w"},
	{"device-read-bps=/dev/sda:1mb"}, {"device-write-bps=/dev/sda:1024", "device-write-bps=/dev/sdb:2k"}, {"device-read-iops=/dev/sda:1000"}, {"device-write-iops=/dev/sda:1000"},
	{"blkio-weight-device=/dev/sda:400"},
	{"gpus=all"}, {"gpus=2"}, {"gpus=-1"}, {"gpus=count=all"}, {"gpus=device=0"}, {`gpus="device=0,2"`}, {`gpus="device=GPU-a,GPU-b",driver=nvidia`},
	{"gpus=all,capabilities=utility"}, {`gpus=all,"capabilities=compute,utility"`}, {`gpus=driver=nvidia,count=1,"options=a=1,b=2"`}, {"gpus=capabilities=gpu"},

	{"user=1000"}, {"user=1000:1000"}, {"user=app:staff"}, {"workdir=/srv/app"}, {"hostname=web-1"}, {"hostname=web-1.example.com"}, {"domainname=example.com"},
	{"entrypoint=/bin/run"}, {"entrypoint="}, {"init=true"}, {"init=false"}, {"tty=true"}, {"tty=false"}, {"interactive=true"}, {"interactive=true", "tty=true"},
	{"group-add=audio"}, {"group-add=20", "group-add=10"}, {"runtime=runsc"}, {"platform=linux/arm64"}, {"platform=linux/arm/v7"},
	{"pid=host"}, {"pid=container:db"}, {"ipc=host"}, {"ipc=shareable"}, {"ipc=none"}, {"ipc=container:db"}, {"uts=host"}, {"cgroupns=host"}, {"cgroupns=private"},
	{"annotation=a=b"}, {"annotation=a=b", "annotation=c="},

	{"privileged=true"}, {"privileged=false"}, {"cap-add=NET_ADMIN"}, {"cap-add=cap_sys_nice", "cap-add=SYS_TIME"}, {"cap-drop=ALL"}, {"cap-drop=all", "cap-add=CHOWN"},
	{"security-opt=no-new-privileges"}, {"security-opt=no-new-privileges:true"}, {"security-opt=no-new-privileges=false"}, {"security-opt=seccomp=unconfined"},
	{"security-opt=apparmor=unconfined"}, {"security-opt=apparmor:shop"}, {"security-opt=label=disable"}, {"security-opt=label=type:svirt_t", "security-opt=label=level:s0"},
	{"security-opt=systempaths=unconfined"}, {"security-opt=systempaths=unconfined", "security-opt=label=disable"},
	{"sysctl=net.core.somaxconn=1024"}, {"sysctl=kernel.shmmax=1", "sysctl=net.ipv4.ip_forward=1"}, {"userns=host"},

	{"read-only=true"}, {"tmpfs=/tmp"}, {"tmpfs=/run:size=64m,mode=1777", "tmpfs=/tmp"}, {"volume-driver=local"}, {"volumes-from=data"}, {"volumes-from=data:ro", "volumes-from=more"},
	{"mount=type=bind,source=/srv,target=/data"}, {"mount=type=bind,src=/srv,dst=/data,ro"}, {"mount=type=bind,src=/srv,destination=/data,readonly=true"},
	{"mount=type=bind,source=/srv,target=/data,bind-propagation=rslave"}, {"mount=type=bind,source=/srv,target=/data,bind-recursive=disabled"},
	{"mount=type=bind,source=/srv,target=/data,readonly,bind-recursive=writable"}, {"mount=type=bind,source=/srv,target=/data,readonly,bind-propagation=rprivate,bind-recursive=readonly"},
	{"mount=type=bind,source=/srv,target=/data,consistency=cached"}, {"mount=type=bind,source=/srv,target=/data,bind-create-src"},
	{"mount=source=data,target=/data"}, {"mount=type=volume,target=/data"}, {"mount=type=volume,source=data,target=/data,volume-nocopy"},
	{"mount=type=volume,source=data,target=/data,volume-label=a=b,volume-label=c"}, {"mount=type=volume,source=data,target=/data,volume-subpath=in"},
	{`mount=type=volume,source=data,target=/data,volume-driver=local,volume-opt=type=nfs,"volume-opt=o=addr=10.0.0.1,rw",volume-opt=device=:/srv`},
	{"mount=type=tmpfs,target=/fast"}, {"mount=type=tmpfs,target=/fast,tmpfs-size=64m,tmpfs-mode=1770"}, {"mount=type=image,source=acme/data:1,target=/i"},
	{"mount=type=image,source=acme/data:1,target=/i,image-subpath=x"}, {"mount=type=bind,source=/a,target=/a", "mount=type=tmpfs,target=/b"},

	{"publish=80"}, {"publish=8080:80"}, {"publish=8080:80/tcp"}, {"publish=53:53/udp"}, {"publish=3868:3868/sctp"}, {"publish=127.0.0.1:8080:80"}, {"publish=127.0.0.1::80"},
	{"publish=[::1]:8080:80"}, {"publish=[2001:db8::1]::80/udp"}, {"publish=8000-8002:9000-9002"}, {"publish=127.0.0.1:8000-8001:80-81/udp"}, {"publish=8000-8010:80"},
	{"publish=9000-9001"}, {"publish=8080:80", "publish=8443:443"}, {"publish=8080:80", "publish=8081:80"}, {"publish=target=80,published=8080,protocol=udp"},
	{"publish-all=true"}, {"expose=9000"}, {"expose=9000-9002/udp"}, {"expose=9000", "publish=8080:80"}, {"publish-all=true", "expose=80"},
	{"add-host=db:10.0.0.5"}, {"add-host=db=10.0.0.5"}, {"add-host=db:::1"}, {"add-host=db=[2001:db8::1]"}, {"add-host=host.docker.internal:host-gateway"},
	{"dns=9.9.9.9", "dns=1.1.1.1"}, {"dns=2001:db8::1"}, {"dns-option=ndots:2", "dns-option=rotate"}, {"dns-opt=ndots:1"}, {"dns-search=corp.example.com", "dns-search=example.com"}, {"dns-search=."},
	{"network-alias=web"}, {"network-alias=web", "network-alias=app"}, {"net-alias=web"}, {"ip=172.30.100.104"}, {"ip6=2001:db8::33"}, {"ip=172.30.100.104", "ip6=2001:db8::33"},
	{"link-local-ip=169.254.34.68", "link-local-ip=fe80::1"}, {"link=db"}, {"link=shop-db:db", "link=cache"},

	{"health-cmd=curl -f localhost || exit 1"}, {"health-interval=90s"}, {"health-timeout=1m30s"}, {"health-start-period=1m"}, {"health-start-interval=500ms"}, {"health-retries=7"},
	{"health-cmd=true", "health-interval=10s", "health-timeout=3s", "health-start-period=5s", "health-retries=2"}, {"no-healthcheck=true"}, {"no-healthcheck=false"},

	{"label=team=shop"}, {"label=team=shop", "label=empty"}, {"env=LEVEL=debug"}, {"env=A=1", "env=B=a=b"}, {"volume=data:/data"}, {"volume=/srv/data:/data:ro", "volume=data:/more"},
	{"log-opt=max-size=50m"}, {"log-opt=max-size=50m", "log-opt=max-file=3"}, {"log-driver=json-file"}, {"stop-signal=QUIT"}, {"stop-timeout=90"},
	{"restart=no"}, {"restart=always"}, {"restart=on-failure"}, {"restart=on-failure:5"},
	{"isolation=default"}, {"mac-address=92:d0:c6:0a:29:33"},
}
