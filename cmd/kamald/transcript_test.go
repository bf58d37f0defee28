package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// transcript is a session of commands on simulated servers in virtual time, and all that they said.
type transcript struct {
	*sim.World
	t     *testing.T
	who   string
	text  strings.Builder
	lines int // commands so far
}

// simulated reaches the simulated servers.
type simulated struct{ *sim.Connector }

func (s simulated) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := s.Connector.Connect(ctx, host)
	if err != nil {
		return nil, err
	}
	bulk := func(ctx context.Context) (reconcile.Engine, func() error, error) {
		more, err := s.Connector.Connect(ctx, host)
		if err != nil {
			return nil, nil, err
		}
		return more.Engine, more.Close, nil
	}
	return &reconcile.Connection{Engine: conn.Engine, Files: conn.Files, Prober: conn.Prober, Proxy: conn.Proxy, Environ: conn.Environ, Registry: conn.Registry, Installer: conn.Installer, Shell: conn.Shell, Close: conn.Close, Bulk: bulk}, nil
}

const shopFile = `service = "shop"
image   = "acme/shop"
version = "v1"

proxy {
  hosts    = ["shop.example.com"]
  app_port = 3000
}

env {
  clear = { LOG_LEVEL = "info" }
}

role "web" {
  hosts = ["web-1", "web-2"]
}

role "workers" {
  hosts = ["jobs-1"]
  cmd   = ["bin/jobs"]
}

registry {
  server   = "registry.example.com"
  username = "deploy"
  password = secret("REGISTRY_PASSWORD")
}
`

// inTranscript plays a session and holds all that was said to testdata/transcript/NAME.txt. KAMALD_GOLDEN=1 writes that file.
func inTranscript(t *testing.T, name string, play func(*transcript)) {
	t.Helper()
	golden, err := filepath.Abs(filepath.Join("testdata", "transcript", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	onServers(t, func(tr *transcript) {
		play(tr)
		held(tr.t, golden, masked(tr.text.String()))
	})
}

// onServers gives simulated servers, an app's images and its file.
func onServers(t *testing.T, play func(*transcript)) {
	t.Helper()
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		tr := &transcript{World: sim.New(1, sim.WithCredentials("deploy", "registry-password")), t: t, who: "ada"}
		for _, host := range []string{"web-1", "web-2", "jobs-1", "web-3"} {
			tr.AddHost(host)
		}
		for n := range 6 {
			tr.push(fmt.Sprintf("v%d", n), sim.Healthy(300*time.Millisecond))
		}
		tr.write("deploy.hcl", shopFile)
		tr.write(".kamald/secrets", "REGISTRY_PASSWORD=registry-password\n")
		play(tr)
	})
}

// masked takes out what differs from run to run: times, durations and identifiers.
func masked(text string) string {
	for _, m := range []struct{ pattern, instead string }{
		{`\d\d:\d\d:\d\d(\.\d+)?`, "00:00:00"}, {`"at":"[^"]*"`, `"at":"2000-01-01T00:00:00Z"`}, {`"took":\d+`, `"took":0`}, {`\d+\.\ds`, "N.Ns"}, {`"took": \d+`, `"took": 0`}, {`_replaced_[0-9a-f]+`, "_replaced_ID"},
		{`-exec-v(\d)-[0-9a-f]{6}`, "-exec-v$1-HEX"}, {`-cache-exec-[0-9a-f]{6}`, "-cache-exec-HEX"},
	} {
		text = regexp.MustCompile(m.pattern).ReplaceAllString(text, m.instead)
	}
	return text
}

func held(t *testing.T, golden, got string) {
	t.Helper()
	if os.Getenv("KAMALD_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil { //nolint:gosec // a test's file is for all
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is otherwise now (KAMALD_GOLDEN=1 writes it):\n%s", filepath.Base(golden), got)
	}
}

func (tr *transcript) push(version string, b sim.Behaviour) {
	tr.Push(sim.Image{Ref: "registry.example.com/acme/shop:" + version, Behaviour: b, Labels: map[string]string{"service": "shop", "version": version}})
}

func (tr *transcript) write(path, text string) {
	tr.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tr.t.Fatal(err)
	}
}

// says notes what happens between two commands.
func (tr *transcript) says(text string) { fmt.Fprintf(&tr.text, "# %s\n\n", text) }

// run carries a command line out and wants an exit code.
func (tr *transcript) run(code int, line string) {
	tr.t.Helper()
	tr.ended(code, line, tr.kamald(tr.t.Context(), line))
}

// said is what a command line has said.
type said struct {
	out, err string
	code     int
}

// step is a line of what is done on a host: hosts do it at once, so that the lines come in any order.
var step = regexp.MustCompile(`^[\d:]{8}  (web|jobs)-\d +\S| … \d+\.\ds\n$|^\{"schema":1,"at":.*"host":"`)

func (tr *transcript) ended(code int, line string, s said) {
	tr.t.Helper()
	out, stderr, got := s.out, s.err, s.code
	fmt.Fprintf(&tr.text, "$ kamald %s\n", line)
	for _, part := range []struct{ mark, text string }{{"! ", stderr}, {"", out}} {
		for text := range strings.Lines(part.text) {
			if part.mark == "" || !step.MatchString(text) {
				tr.text.WriteString(part.mark + text)
			}
		}
	}
	fmt.Fprintf(&tr.text, "[exit %d]\n\n", got)
	if got != code {
		tr.t.Errorf("kamald %s: exit code %d, want %d\n%s%s", line, got, code, stderr, out)
	}
}

func (tr *transcript) kamald(ctx context.Context, line string) said {
	return tr.kamaldOf(ctx, strings.Fields(line))
}

// kamaldOf is kamald for words that have spaces in them.
func (tr *transcript) kamaldOf(ctx context.Context, args []string) said {
	var o, e bytes.Buffer
	code := tr.kamaldTo(ctx, &o, &e, args)
	return said{o.String(), e.String(), code}
}

// kamaldTo is kamald with an output of one's own, and gives the exit code.
func (tr *transcript) kamaldTo(ctx context.Context, out, errs io.Writer, args []string) int {
	p := newProgram(out, errs)
	p.interrupt = &interrupt{}
	p.here = func(context.Context, release.Auth) error { return nil }
	p.reach, p.owner = simulated{tr.Connector()}, &reconcile.Owner{Who: tr.who, Machine: tr.who + "s-desk", PID: 100 + tr.lines}
	tr.lines++
	err := p.execute(ctx, append([]string{"--store", tr.who + ".db"}, args...))
	if message := messageOf(err); message != nil {
		p.fail(message)
	}
	return exitCode(err, false)
}
