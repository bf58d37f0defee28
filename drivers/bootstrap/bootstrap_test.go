package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kamald/kamald/state"
)

// host is a host that keeps what is run on it, and answers by what the commands begin with.
type host struct {
	sight string // what look.sh says
	// answers are by the beginning of a command; one that has none ends with 0 and says nothing.
	answers map[string]answer
	before  func(ctx context.Context, argv []string) // is told of each command; may be nil

	mu  sync.Mutex
	ran []string
}

type answer struct {
	code           int
	stdout, stderr string
	err            error
}

const (
	asRoot  = "user=root\ngroups=root\nhas=curl\nhas=usermod\nhas=service\nbecome=root\n"
	asUser  = "user=deploy\ngroups=deploy\nhas=curl\nhas=wget\nhas=usermod\nhas=systemctl\nhas=systemd\nbecome=sudo\n"
	theDir  = "/run/kamald-bootstrap.abc123"
	theFile = theDir + "/get-docker.sh"
)

func newHost(sight string, answers map[string]answer) *host {
	h := &host{sight: sight, answers: map[string]answer{"mktemp": {stdout: theDir + "\n"}, "tail -c 256 " + theFile: {stdout: "}\n\n# the end\ndo_install\n"}}}
	for command, a := range answers {
		h.answers[command] = a
	}
	return h
}

func (h *host) Run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	return h.answer(ctx, argv, stdin, stdout, stderr, false)
}

func (h *host) RunOn(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	return h.answer(ctx, argv, stdin, stdout, stderr, true)
}

// answer answers a command; on tells whether it is one that is not to be cut short.
func (h *host) answer(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer, on bool) (int, error) {
	text, err := io.ReadAll(stdin)
	if err != nil {
		return 0, err
	}
	if h.before != nil {
		h.before(ctx, argv)
	}
	command := strings.TrimPrefix(strings.Join(argv, " "), "sudo -n ")
	switch {
	case string(text) == lookScript:
		_, _ = io.WriteString(stdout, h.sight)
		return 0, nil
	case (string(text) == runScript) != on:
		return 0, fmt.Errorf("whether it is cut short: %t, of %q", !on, argv)
	case on:
		command = strings.Replace(command, "sh -s -- ", "carry ", 1)
	case len(text) > 0:
		return 0, fmt.Errorf("an unknown script: %s", text)
	}
	h.mu.Lock()
	h.ran = append(h.ran, command)
	h.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for beginning, a := range h.answers {
		if strings.HasPrefix(command, beginning) {
			_, _ = io.WriteString(stdout, a.stdout)
			_, _ = io.WriteString(stderr, a.stderr)
			return a.code, a.err
		}
	}
	return 0, nil
}

// began tells whether a command was run.
func (h *host) began(beginning string) bool {
	return slices.ContainsFunc(h.ran, func(c string) bool { return strings.HasPrefix(c, beginning) })
}

func TestTheScriptIsFetchedWholeBeforeItIsRun(t *testing.T) {
	h := newHost(asUser, map[string]answer{"carry": {stdout: "Reading lists\rinstalled\n\x1b[1mdone\x1b[0m"}})
	var said []string
	if err := New(h).Install(t.Context(), false, func(line string) { said = append(said, line) }); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"mktemp -d /run/kamald-bootstrap.XXXXXX",
		"curl -fsSL --proto =https --connect-timeout 20 -o " + theFile + " https://get.docker.com",
		"sh -n " + theFile,
		"tail -c 256 " + theFile,
		"carry " + theDir + " sh " + theFile,
	}
	if !slices.Equal(h.ran, want) {
		t.Errorf("it ran\n  %s\nand not\n  %s", strings.Join(h.ran, "\n  "), strings.Join(want, "\n  "))
	}
	if want := []string{"fetched https://get.docker.com by curl", "installed", "done"}; !slices.Equal(said, want) {
		t.Errorf("it said %q, want %q", said, want)
	}
}

func TestWhatCannotBeFetchedWholeIsNotRunAndLeavesNothing(t *testing.T) {
	cut := answer{code: 18, stderr: "curl: (18) transfer closed with 12 bytes remaining to read\n"}
	for _, c := range []struct {
		name    string
		sight   string
		answers map[string]answer
		says    []string
		rm      bool // a workspace was made, and is removed
	}{
		{"neither program", strings.NewReplacer("has=curl\n", "", "has=wget\n", "").Replace(asUser), nil, []string{"neither curl nor wget", "--from-distro"}, false},
		{"both fail", asUser, map[string]answer{"curl": cut, "wget": {code: 4, stderr: "wget: failed"}}, []string{"by curl: curl ended with 18: curl: (18) transfer closed", "by wget: wget ended with 4"}, true},
		{"no valid syntax", asUser, map[string]answer{"sh -n": {code: 2, stderr: "Syntax error: end of file unexpected"}}, []string{"by curl: what has come is no whole script", "by wget: what has come is no whole script"}, true},
		{"no end", asUser, map[string]answer{"tail -c 256 " + theFile: {stdout: "set -e\necho half\n"}}, []string{`its last line is "echo half" and should be "do_install"`}, true},
		{"an end in the end", asUser, map[string]answer{"tail -c 256 " + theFile: {stdout: "set -e\ndo_inst"}}, []string{`its last line is "do_inst"`}, true},
		{"nothing at all", asUser, map[string]answer{"tail -c 256 " + theFile: {}}, []string{`its last line is ""`}, true},
		{"a wget that trusts everybody", strings.Replace(asUser, "has=curl\n", "", 1), map[string]answer{"wget": {stderr: "wget: note: TLS certificate validation not implemented\n"}}, []string{"does not check whom it talks to"}, true},
		{"a directory of another form", asUser, map[string]answer{"mktemp": {stdout: "/\n"}}, []string{`mktemp made "/"`}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(c.sight, c.answers)
			err := New(h).Install(t.Context(), false, func(string) {})
			if err == nil {
				t.Fatal("it says that all is well")
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if h.began("carry") || h.began("rm") != c.rm || c.rm && h.ran[len(h.ran)-1] != "rm -rf "+theDir {
				t.Errorf("it ran\n  %s", strings.Join(h.ran, "\n  "))
			}
		})
	}
}

func TestWgetIsTheWayWhereCurlFails(t *testing.T) {
	for sight, want := range map[string]string{
		asUser + "has=gnu-wget\n": "wget -nv --tries=2 --timeout=20 -O " + theFile + " https://get.docker.com",
		asUser:                    "wget -T 20 -O " + theFile + " https://get.docker.com",
	} {
		h := newHost(sight, map[string]answer{"curl": {code: 6, stderr: "curl: (6) Could not resolve host"}})
		if err := New(h).Install(t.Context(), false, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(h.ran, want) || !h.began("carry "+theDir+" sh "+theFile) {
			t.Errorf("it ran\n  %s", strings.Join(h.ran, "\n  "))
		}
	}
}

func TestTheDistributionsPackageIsChosenByWhatIsThere(t *testing.T) {
	for manager, want := range map[string]string{
		"apt-get": "env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install docker.io",
		"dnf":     "sh -c dnf -y install moby-engine || dnf -y install docker",
		"yum":     "yum -y install docker",
		"zypper":  "zypper --non-interactive install docker",
		"apk":     "apk add docker",
	} {
		h := newHost(asRoot+"has="+manager+"\n", nil)
		if err := New(h).Install(t.Context(), true, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if last := h.ran[len(h.ran)-1]; last != "carry "+theDir+" "+want || h.began("curl") {
			t.Errorf("%s: it ran\n  %s", manager, strings.Join(h.ran, "\n  "))
		}
	}
	if err := New(newHost(asRoot, nil)).Install(t.Context(), true, nil); err == nil || !strings.Contains(err.Error(), "apt-get, dnf, yum, zypper, apk") {
		t.Errorf("without any of them: %v", err)
	}
}

func TestAFailedInstallationSaysItsLastLinesAndWhatTheyMean(t *testing.T) {
	h := newHost(asRoot, map[string]answer{"carry": {code: 100, stderr: "E: Could not get lock /var/lib/dpkg/lock-frontend.\nE: Unable to acquire it\n"}})
	err := New(h).Install(t.Context(), false, func(string) {})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 100 || !strings.Contains(err.Error(), "| E: Unable to acquire it") || !strings.Contains(err.Error(), "do the same again when it is through") {
		t.Errorf("%v", err)
	}
	h = newHost(asRoot, map[string]answer{"carry": {err: state.ErrUnreachable}})
	if err := New(h).Install(t.Context(), false, func(string) {}); !errors.Is(err, state.ErrUnreachable) || !strings.Contains(err.Error(), "goes on there, and what it says is in "+theDir+"/log") {
		t.Errorf("%v", err)
	}
}

// What has begun is let run; what has not is not begun.
func TestAnInterruptionEndsADownloadAndNoInstallation(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("somebody asked to stop")
	h := newHost(asRoot, nil)
	h.before = func(_ context.Context, argv []string) {
		if argv[0] == "curl" {
			cancel(stop)
		}
	}
	if err := New(h).Install(ctx, false, func(string) {}); !errors.Is(err, stop) || h.began("carry") || !h.began("rm -rf "+theDir) {
		t.Errorf("%v; it ran\n  %s", err, strings.Join(h.ran, "\n  "))
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	h = newHost(asRoot, nil)
	h.before = func(inner context.Context, argv []string) {
		if slices.Contains(argv, theFile) && argv[1] == "-s" {
			cancel(stop)
			if inner.Err() != nil {
				t.Error("the installation was interrupted")
			}
		}
	}
	if err := New(h).Install(ctx, false, func(string) {}); err != nil {
		t.Errorf("an installation that came to its end: %v", err)
	}
}

func TestTheEngineIsStartedByWhatTheHostHas(t *testing.T) {
	for has, want := range map[string]string{
		"has=systemd\nhas=systemctl\n": "sh -c systemctl reset-failed docker.service 2>/dev/null; systemctl enable --now docker.service",
		"has=systemctl\nhas=service\n": "sh -c service docker start && sleep 2 && service docker status",
		"has=rc-service\n":             "sh -c rc-update add docker default; rc-service docker start",
		"":                             "",
	} {
		h := newHost("user=root\nbecome=root\n"+has, nil)
		err := New(h).Start(t.Context(), func(string) {})
		if want == "" {
			if err == nil || len(h.ran) > 0 {
				t.Errorf("without any: %v, it ran %q", err, h.ran)
			}
		} else if last := h.ran[len(h.ran)-1]; err != nil || last != "carry "+theDir+" "+want {
			t.Errorf("%q: %v, it ran %q", has, err, h.ran)
		}
	}
}

func TestTheUserIsAddedToTheGroupByItsName(t *testing.T) {
	for has, want := range map[string]string{"has=usermod\n": "usermod -aG docker deploy", "has=addgroup\n": "addgroup deploy docker"} {
		h := newHost("user=deploy\nbecome=sudo\n"+has, nil)
		if err := New(h).Admit(t.Context()); err != nil || h.ran[len(h.ran)-1] != want {
			t.Errorf("%v, it ran %q", err, h.ran)
		}
	}
}

func FuzzLinesDisturbNoTerminal(f *testing.F) {
	f.Add("plain\nmore")
	f.Add("\x1b[31mred\x1b[0m\rover\r\n\x1b]0;title\x07x")
	f.Add("\x9b31m\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		var got []string
		l := &lines{say: func(line string) { got = append(got, line) }}
		for part := range strings.SplitSeq(text, "e") {
			_, _ = l.Write([]byte(part))
			_, _ = l.Write([]byte("e"))
		}
		l.end()
		for _, line := range append(got, lastLines(text)...) {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) || line == "" || len(line) > 2*lineLimit {
				t.Errorf("%q", line)
			}
		}
	})
}
