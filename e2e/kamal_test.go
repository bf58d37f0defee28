package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/lab"
)

// kamal does to the lab's hosts what Kamal 2.12 does, by the commands that it runs there over SSH, in its order. There is no Ruby
// where these tests run; the commands are those that the program itself was seen to run against these hosts.
type kamal struct {
	*fixture
	clients map[string]*ssh.Client
	options string // of docker run for the web role
	restart string // its restart policy
}

const kamalProxy = "basecamp/kamal-proxy:v0.9.2"

// newKamal connects to every host and puts a proxy's image there under the name that Kamal looks for: kamald's own proxy, which
// takes the same commands.
func newKamal(f *fixture) *kamal {
	f.t.Helper()
	k := &kamal{fixture: f, clients: map[string]*ssh.Client{}}
	packed, err := os.Open("../drivers/proxy/binaries/kamald-proxy-linux-amd64.gz")
	if err != nil {
		f.t.Fatalf("the proxy is not built: run `make build` first: %v", err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		f.t.Fatal(err)
	}
	binary, err := io.ReadAll(unpacked)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := range f.lab.Hosts {
		h := &f.lab.Hosts[i]
		client, err := h.Dial(f.t.Context(), "root")
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { client.Close() })
		k.clients[h.Name] = client
	}
	k.everywhere(1, 2, 3)(func(h *lab.Host) {
		archive, err := proxy.Archive(kamalProxy, "amd64", binary)
		if err != nil {
			f.t.Error(err)
			return
		}
		k.pipe(h, archive, "docker load --quiet")
	})
	return k
}

// deploy is `kamal deploy --skip-push --version VERSION`.
func (k *kamal) deploy(version string) {
	k.t.Helper()
	image := k.lab.Registry.Server + "/acme/shop:" + version
	k.everywhere(1, 2, 3)(func(h *lab.Host) {
		k.shell(h, "docker login %s -u %s -p %s", k.lab.Registry.Server, k.lab.Registry.Username, k.lab.Registry.Password.Reveal())
		k.shell(h, "docker image rm --force %s || true", image)
		k.shell(h, "docker pull --quiet %s", image)
		k.shell(h, `docker inspect -f '{{ .Config.Labels.service }}' %s | grep -x shop`, image)
		k.shell(h, "mkdir -p .kamal")
	})
	k.locked(func() {
		k.everywhere(1, 2, 3)(func(h *lab.Host) { k.shell(h, "docker network create kamal || true") })
		k.everywhere(1, 2)(k.bootProxy)
		k.boot(version)
	})
}

// rollback is `kamal rollback VERSION`: a new container of an older version, with today's configuration.
func (k *kamal) rollback(version string) {
	k.t.Helper()
	k.locked(func() { k.boot(version) })
}

// rebootProxy is `kamal proxy reboot`.
func (k *kamal) rebootProxy() {
	k.t.Helper()
	k.locked(func() {
		k.everywhere(1, 2)(func(h *lab.Host) {
			k.shell(h, "docker container stop kamal-proxy")
			k.shell(h, "docker container prune --force --filter label=org.opencontainers.image.title=kamal-proxy")
			k.bootProxy(h)
		})
	})
}

func (k *kamal) bootProxy(h *lab.Host) {
	tooOld := k.shell(h, `docker inspect kamal-proxy --format '{{.Config.Image}}' 2>/dev/null | awk -F: '{print $NF}'`)
	if tooOld = strings.TrimSpace(tooOld); tooOld != "" && tooOld != "v0.9.2" {
		k.t.Fatalf("Kamal would take the proxy on %s for another version: %q", h.Name, tooOld)
	}
	k.shell(h, "mkdir -p .kamal/proxy/apps-config")
	k.shell(h, "docker container start kamal-proxy || docker run --name kamal-proxy --network kamal --detach --restart unless-stopped "+
		"--volume kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy --volume $PWD/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config "+
		"--publish 80:80 --publish 443:443 --log-opt max-size=10m %s", kamalProxy)
}

// boot boots the web role on its hosts, then the workers, and moves latest.
func (k *kamal) boot(version string) {
	k.everywhere(1, 2)(func(h *lab.Host) { k.role(h, "web", version, k.options, "") })
	k.role(k.host(3), "workers", version, "", "app worker")
	image := k.lab.Registry.Server + "/acme/shop:"
	k.everywhere(1, 2, 3)(func(h *lab.Host) { k.shell(h, "docker tag %s%s %slatest", image, version, image) })
}

func (k *kamal) role(h *lab.Host, role, version, options, cmd string) {
	name := "shop-" + role + "-" + version
	if k.shell(h, "docker container ls --all --filter 'name=^%s$' --quiet", name) != "" {
		k.shell(h, "docker rename %s %s_replaced_%s", name, name, "0123456789abcdef")
	}
	old := strings.TrimSpace(k.shell(h, `sh -c 'docker ps --latest --format "{{.Names}}" --filter label=service=shop --filter label=destination= --filter label=role=%[1]s `+
		`--filter status=running --filter status=restarting --filter ancestor=$(docker image ls --filter reference=%[2]s/acme/shop:latest --format "{{.ID}}") ; `+
		`docker ps --latest --format "{{.Names}}" --filter label=service=shop --filter label=destination= --filter label=role=%[1]s `+
		`--filter status=running --filter status=restarting' 2>/dev/null | head -1`, role, k.lab.Registry.Server))
	env := ".kamal/apps/shop/env/roles"
	k.shell(h, "mkdir -p %s", env)
	k.pipe(h, strings.NewReader("API_TOKEN="+canary+"\n"), fmt.Sprintf("umask 077; cat > %s/%s.env", env, role))
	restart := "unless-stopped"
	if role == "web" {
		restart = k.restart
	}
	id := k.shell(h, `docker run --detach --restart %[10]s --name %[1]s --network kamal --hostname %[2]s-%[3]s --env KAMAL_CONTAINER_NAME="%[1]s" `+
		`--env KAMAL_VERSION="%[4]s" --env KAMAL_HOST="%[2]s" --env LOG_LEVEL="info" --env WHO="it is ${USER}, \$5" --env-file %[5]s/%[6]s.env --log-opt max-size="10m" `+
		`--volume data:/data --volume ~/shared:/shared --label service="shop" --label role="%[6]s" --label destination --label team="checkout" %[7]s %[8]s/acme/shop:%[4]s %[9]s`,
		name, h.Address, "0123456789ab", version, env, role, options, k.lab.Registry.Server, cmd, restart)
	if role == "web" {
		k.shell(h, `docker exec kamal-proxy kamal-proxy deploy shop-web --target="%s:3000" --deploy-timeout="5s" --drain-timeout="5s" --health-check-interval="1s" `+
			`--buffer-requests --buffer-responses --log-request-header="Cache-Control" --log-request-header="Last-Modified" --log-request-header="User-Agent"`, id[:12])
	}
	if old != "" {
		k.shell(h, "docker container ls --all --filter 'name=^%s$' --quiet | xargs docker stop", old)
	}
}

// locked holds Kamal's lock meanwhile, on the primary host.
func (k *kamal) locked(do func()) {
	k.t.Helper()
	primary := k.host(1)
	text := base64.StdEncoding.EncodeToString([]byte("Locked by: Kamal at 2026-01-02T03:04:05Z\nVersion: v1\nMessage: Automatic deploy lock"))
	k.shell(primary, `mkdir .kamal/lock-shop && echo "%s" > .kamal/lock-shop/details`, text)
	do()
	k.shell(primary, "rm .kamal/lock-shop/details && rm -r .kamal/lock-shop")
}

// everywhere does something on hosts at once, as Kamal does, and ends the test when it fails on one.
func (k *kamal) everywhere(hosts ...int) func(do func(*lab.Host)) {
	return func(do func(*lab.Host)) {
		var all sync.WaitGroup
		for _, n := range hosts {
			all.Go(func() { do(k.host(n)) })
		}
		all.Wait()
		if k.t.Failed() {
			k.t.FailNow()
		}
	}
}

// shell runs a command line in the SSH user's shell on a host, as Kamal does, and wants it to succeed.
func (k *kamal) shell(h *lab.Host, format string, args ...any) string {
	k.t.Helper()
	return k.pipe(h, nil, fmt.Sprintf(format, args...))
}

func (k *kamal) pipe(h *lab.Host, in io.Reader, line string) string {
	k.t.Helper()
	session, err := k.clients[h.Name].NewSession()
	if err != nil {
		k.t.Fatal(err)
	}
	defer session.Close()
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = in, &stdout, &stderr
	if err := session.Run(line); err != nil {
		k.t.Errorf("%s: %s: %v\n%s", h.Name, line, err, stderr.String())
		k.t.FailNow()
	}
	return strings.TrimSpace(stdout.String())
}
