package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestEveryHostRunsItsOwnEngineForRootAndDeploy(t *testing.T) {
	l := Require(t)
	ids := map[string]string{}
	for i := range l.Hosts {
		h := &l.Hosts[i]
		reset(t, h)
		for _, user := range []string{"root", "deploy"} {
			id := strings.TrimSpace(sshRun(t, h, user, "docker info --format '{{.ID}} {{.Driver}}'"))
			if id == "" {
				t.Errorf("%s as %s: docker info says nothing", h.Name, user)
			}
			if other, seen := ids[id]; seen && other != h.Name {
				t.Errorf("%s and %s share the engine %s", h.Name, other, id)
			}
			ids[id] = h.Name
		}
	}
	if len(ids) != len(l.Hosts) {
		t.Errorf("%d engines on %d hosts: %v", len(ids), len(l.Hosts), ids)
	}
}

func TestTheRegistryGivesAnImageOnlyForThePassword(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[0]
	reset(t, h)
	reference := buildApp(t, l, AppImage{Repository: "lab/shop", Version: "v1"})

	if output, err := h.Exec(t.Context(), "docker", "pull", reference); err == nil {
		t.Fatalf("pulled without a password: %s", output)
	} else if !strings.Contains(err.Error(), "auth") {
		t.Errorf("the refusal does not speak of authentication: %v", err)
	}
	login(t, l, h)
	if _, err := h.Exec(t.Context(), "docker", "pull", "-q", reference); err != nil {
		t.Fatal(err)
	}
	if id := mustExec(t, h, "docker", "images", "-q", "--filter", "label=service=shop"); id == "" {
		t.Error("the pulled image does not carry the label service=shop")
	}
}

func TestVersionsShareTheProgramAndDifferInALayerOfTheirOwn(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[0]
	reset(t, h)
	login(t, l, h)
	var layers [2][]string
	for i, version := range []string{"v1", "v2"} {
		reference := buildApp(t, l, AppImage{Repository: "lab/shop", Version: version})
		mustExec(t, h, "docker", "pull", "-q", reference)
		listed := mustExec(t, h, "docker", "image", "inspect", "-f", "{{json .RootFS.Layers}}", reference)
		if err := json.Unmarshal([]byte(listed), &layers[i]); err != nil {
			t.Fatal(err)
		}
	}
	if len(layers[0]) != 2 || len(layers[1]) != 2 || layers[0][0] != layers[1][0] || layers[0][1] == layers[1][1] {
		t.Errorf("layers of v1 %v, of v2 %v: want the first the same and the second not", layers[0], layers[1])
	}
}

func TestResetLeavesNothingOfATestOnAHost(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[1]
	if err := h.ResetBare(t.Context()); err != nil {
		t.Fatal(err)
	}
	login(t, l, h)
	reference := buildApp(t, l, AppImage{Repository: "lab/shop", Version: "v1"})
	proxy, err := h.Load(t.Context(), AppImage{Repository: "lab/proxy", Version: "v1", Labels: map[string]string{"org.opencontainers.image.title": "kamal-proxy"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, h, "docker", "network", "create", "kamal")
	mustExec(t, h, "docker", "volume", "create", "kept")
	mustExec(t, h, "docker", "run", "-d", "--restart", "unless-stopped", "--network", "kamal", "-v", "kept:/data", reference)
	mustExec(t, h, "mkdir", "-p", "/root/.kamal/apps", "/home/deploy/.kamal")
	if err := h.Cut(t.Context()); err != nil {
		t.Fatal(err)
	}

	reset(t, h)
	if left := mustExec(t, h, "docker", "images", "--format", "{{.Repository}}:{{.Tag}}"); left != proxy {
		t.Errorf("of the images there are %q, want the proxy's alone, %s", left, proxy)
	}
	if err := h.ResetBare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{{"docker", "ps", "-aq"}, {"docker", "images", "-aq"}, {"docker", "volume", "ls", "-q"},
		{"docker", "network", "ls", "-q", "--filter", "type=custom"}, {"find", "/root", "/home/deploy", "-name", ".kamal", "-o", "-name", ".docker"}} {
		if left := mustExec(t, h, list...); left != "" {
			t.Errorf("%v still lists %s", list, left)
		}
	}
	if accepted, sessions, err := h.SSHLog(t.Context()); err != nil || accepted != 0 || len(sessions) != 0 {
		t.Errorf("SSH log after reset: %d, %v, %v", accepted, sessions, err)
	}
	if err := h.ping(t.Context()); err != nil {
		t.Errorf("the host is still cut off: %v", err)
	}
}

func TestTheSSHLogCountsConnectionsAndSessions(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[0]
	reset(t, h)
	sshRun(t, h, "root", "true")
	sshRun(t, h, "deploy", "true")
	if err := h.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted, sessions, err := h.SSHLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The engine was asked over a forwarded socket: a connection without a session.
	if want := []string{"command for root", "command for deploy"}; accepted != 3 || !slices.Equal(sessions, want) {
		t.Errorf("%d connections with sessions %q, want 3 with %q", accepted, sessions, want)
	}
}

func TestAHostThatIsCutOffOrPausedDoesNotAnswerUntilItIsHealed(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[2]
	reset(t, h)
	for _, trouble := range []struct {
		name     string
		do, undo func(context.Context) error
	}{{"cut", h.Cut, h.Heal}, {"paused", h.Pause, h.Unpause}} {
		if err := trouble.do(t.Context()); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := h.ping(short); err == nil {
			t.Errorf("%s: the host answers", trouble.name)
		}
		cancel()
		if _, _, err := h.SSHLog(t.Context()); err != nil {
			t.Errorf("%s: the SSH log cannot be read: %v", trouble.name, err)
		}
		if err := trouble.undo(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.waitReady(t.Context()); err != nil {
			t.Errorf("%s and healed: %v", trouble.name, err)
		}
	}
}

func TestARestartedHostKeepsItsKeyAndItsContainers(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[0]
	reset(t, h)
	login(t, l, h)
	reference := buildApp(t, l, AppImage{Repository: "lab/shop", Version: "v1"})
	mustExec(t, h, "docker", "run", "-d", "--name", "kept", "--restart", "unless-stopped", reference)
	// Start checks the key against known_hosts.
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state := mustExec(t, h, "docker", "inspect", "-f", "{{.State.Running}}", "kept"); state != "true" {
		t.Errorf("the container runs: %s", state)
	}
	if name := mustExec(t, h, "docker", "run", "--rm", "--network", "container:kept", reference, "app", "healthy"); !strings.Contains(name, "healthy version=v1") {
		t.Errorf("the app says %q", name)
	}
	reset(t, h)
}

func TestTheLabsNetworkLeadsNowhereElse(t *testing.T) {
	l := Require(t)
	if internal, err := docker(t.Context(), "network", "inspect", "-f", "{{.Internal}}", l.Network); err != nil || internal != "true" {
		t.Errorf("the network is internal: %s %v", internal, err)
	}
}

func TestThisMachineAsksAContainerOverSSH(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[0]
	reset(t, h)
	login(t, l, h)
	reference := buildApp(t, l, AppImage{Repository: "lab/shop", Version: "v9", Env: map[string]string{"APP_SICK": "true"}, Health: true})
	id := mustExec(t, h, "docker", "run", "-d", reference)
	address := mustExec(t, h, "docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", id)
	client := dial(t, h, "root")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, target string) (net.Conn, error) {
		return client.DialContext(ctx, "tcp", target)
	}}
	defer transport.CloseIdleConnections()
	status, body := get(t, &http.Client{Transport: transport}, "http://"+address+":3000/up")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "sick: the database does not answer") {
		t.Errorf("/up answers %d %q", status, body)
	}
	reset(t, h)
}

func TestAnEngineThatIsKilledComesBackByItself(t *testing.T) {
	l := Require(t)
	h := &l.Hosts[1]
	reset(t, h)
	reference, err := h.Load(t.Context(), AppImage{Repository: "lab/shop", Version: "v1"}, l.Registry.Server)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, h, "docker", "run", "-d", "--name", "kept", reference, "app", "worker")
	before := mustExec(t, h, "pgrep", "-x", "dockerd")
	mustExec(t, h, "pkill", "-KILL", "-x", "dockerd")
	if err := h.waitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := mustExec(t, h, "pgrep", "-x", "dockerd"); after == before {
		t.Error("the engine was not killed")
	}
	// Whether its containers run again is the engine's matter (20.10 stops them and leaves them so); it knows them.
	mustExec(t, h, "docker", "inspect", "kept")
	reset(t, h)
}

func TestAStoppedHostIsBroughtBackByUp(t *testing.T) {
	l := Require(t)
	for i, trouble := range []func(*Host) error{
		func(h *Host) error { return h.Stop(t.Context()) },
		func(h *Host) error { return h.Pause(t.Context()) },
		func(h *Host) error { return h.Cut(t.Context()) },
	} {
		reset(t, &l.Hosts[i])
		if err := trouble(&l.Hosts[i]); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range again.Hosts {
		if err := again.Hosts[i].ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestALoadedImageRunsOnThisMachinesEngine(t *testing.T) {
	Require(t)
	reference, err := LoadApp(t.Context(), AppImage{Repository: "kamald-lab-test/shop", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := docker(context.Background(), "rmi", "-f", reference); err != nil {
			t.Error(err)
		}
	})
	output, err := docker(t.Context(), "run", "--rm", "--network", "none", "--label", "kamald.test=lab", "-e", "APP_CRASH=7", reference)
	if err == nil || !strings.Contains(output, "crashing at boot with exit code 7") {
		t.Errorf("the app said %q and ended with %v", output, err)
	}
}

func reset(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func login(t *testing.T, l *Lab, h *Host) {
	t.Helper()
	mustExec(t, h, "docker", "login", "-u", l.Registry.Username, "-p", l.Registry.Password.Reveal(), l.Registry.Server)
}

func buildApp(t *testing.T, l *Lab, variant AppImage) string {
	t.Helper()
	reference, err := l.BuildApp(t.Context(), variant)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

func mustExec(t *testing.T, h *Host, argv ...string) string {
	t.Helper()
	output, err := h.Exec(t.Context(), argv...)
	if err != nil {
		t.Fatalf("%s on %s: %v", argv[0], h.Name, err)
	}
	return output
}

func dial(t *testing.T, h *Host, user string) *ssh.Client {
	t.Helper()
	client, err := h.Dial(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	return client
}

func sshRun(t *testing.T, h *Host, user, command string) string {
	t.Helper()
	session, err := dial(t, h, user).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	output, err := session.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s as %s: %v: %s", h.Name, user, err, output)
	}
	return string(output)
}

func get(t *testing.T, client *http.Client, target string) (status int, body string) {
	t.Helper()
	var failure error
	for range 50 { // the container may not listen yet
		response, err := client.Get(target)
		if failure = err; err != nil {
			select {
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		content, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(content)
	}
	t.Fatal(fmt.Errorf("nobody answers at %s: %w", target, failure))
	return 0, ""
}
