package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// stage asserts where a dial ended.
func stage(t *testing.T, err error, want Stage, words ...string) {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) || failed.Stage != want || !errors.Is(err, state.ErrUnreachable) {
		t.Fatalf("got %v, want an error of stage %q", err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in the error: %v", word, err)
		}
	}
}

func TestARefusedKeyIsAnErrorThatNamesTheKeysThatWereTried(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, newKey(t)) // another user's key
	_, err := Dial(t.Context(), u.options, u.trusted(t, s))
	stage(t, err, StageAuth, "deploy@127.0.0.1", ssh.FingerprintSHA256(u.key.signer.PublicKey()), "~/.ssh/id_ed25519", "the agent does not answer")
	if !errors.Is(err, state.ErrDenied) {
		t.Errorf("%v is not state.ErrDenied", err)
	}
}

func TestAnEncryptedKeyIsAnErrorThatSaysToUseTheAgent(t *testing.T) {
	u := newSetup(t)
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("word"))
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := ssh.NewSignerFromKey(private)
	u.write(t, ".ssh/locked", pem.EncodeToMemory(block))
	s := newServer(t, keyPair{signer: signer})
	h := u.trusted(t, s)
	h.SSH.Keys, h.SSH.KeysOnly = []string{"~/.ssh/locked", "~/.ssh/none"}, true
	_, err = Dial(t.Context(), u.options, h)
	stage(t, err, StageAuth, "no key to offer", "ssh-add ~/.ssh/locked", "cannot read ~/.ssh/none")

	// With the agent holding it, the same file works, and keys_only offers no other key of the agent's.
	u.options.Agent = runAgent(t, private)
	dialed(t, u.options, h)
}

func runAgent(t *testing.T, keys ...ed25519.PrivateKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, key := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent") // a test's own directory can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); os.RemoveAll(dir) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	return dir + "/s"
}

func TestAnAgentThatNeverAnswersDoesNotHoldTheDialForEver(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	u.options.Agent = shortDir(t) + "/s"
	listener, err := net.Listen("unix", u.options.Agent)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	u.options.Timeout = 50 * time.Millisecond
	if _, err := Dial(t.Context(), u.options, u.trusted(t, s)); !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestAKeyOfTheReleasesSecretsAuthenticates(t *testing.T) {
	u := newSetup(t)
	key := newKey(t)
	s := newServer(t, key)
	u.options.KeyData = []release.Secret{release.NewSecret("no key"), release.NewSecret(string(key.file))}
	dialed(t, u.options, u.trusted(t, s))
	s.set(func() { s.allowed = newKey(t).signer.PublicKey() })
	_, err := Dial(t.Context(), u.options, u.trusted(t, s))
	stage(t, err, StageAuth, "ssh.key_data[0]", "ssh.key_data[1]")
	if strings.Contains(err.Error(), "PRIVATE KEY") || strings.Contains(err.Error(), "no key\n") {
		t.Errorf("the key's data is in the error: %v", err)
	}
}

func TestConnectionsThatAreResetInTheHandshakeAreMadeAgain(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	s.set(func() { s.drop = 3 })
	dialed(t, u.options, u.trusted(t, s))
	if got := s.accepted.Load(); got != 4 {
		t.Errorf("%d connections, want 4", got)
	}
	s.set(func() { s.drop = 100 })
	if _, err := Dial(t.Context(), u.options, u.trusted(t, s)); !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if got := s.accepted.Load(); got != 4+1+maxResets {
		t.Errorf("%d connections for one that is always reset, want %d", got-4, 1+maxResets)
	}
}

func TestNoMoreConnectionsThanTheLimitAreMadeAtOnce(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	s.set(func() { s.hold = make(chan struct{}) })
	u.options.Limiter = NewLimiter(2)
	h := u.trusted(t, s)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if c, err := Dial(t.Context(), u.options, h); err != nil {
				t.Error(err)
			} else {
				c.Close()
			}
		})
	}
	for s.waiting.Load() < 2 { // two may, and do
		time.Sleep(time.Millisecond)
	}
	for range 6 {
		s.hold <- struct{}{}
	}
	all.Wait()
	if most := s.most.Load(); most != 2 {
		t.Errorf("%d handshakes at once, want 2", most)
	}
}

func TestANameThatDoesNotResolveIsAnErrorOfThatStage(t *testing.T) {
	u := newSetup(t)
	h := release.Host{Name: "web-1", Address: "no-such-host.invalid", SSH: release.SSH{Port: 22, DNSRetries: 1}}
	_, err := Dial(t.Context(), u.options, h)
	stage(t, err, StageResolve, "web-1", "no-such-host.invalid")
	if strings.Count(err.Error(), "no-such-host.invalid") != 1 || strings.Contains(err.Error(), "dial") {
		t.Errorf("the name is said more than once: %v", err)
	}
}

func TestAPortThatNobodyListensOnIsAnErrorOfTheDial(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	h := u.trusted(t, s)
	s.listener.Close()
	_, err := Dial(t.Context(), u.options, h)
	stage(t, err, StageDial, fmt.Sprintf("127.0.0.1:%d", s.port()))
	if want := fmt.Sprintf("web-1: dial: 127.0.0.1:%d: connection refused", s.port()); !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	h.Address = "localhost"
	_, err = Dial(t.Context(), u.options, h)
	stage(t, err, StageDial, fmt.Sprintf("web-1: dial: localhost:%d: connection refused (", s.port()))
}

func TestCancellingEndsADialWhoseServerSaysNothing(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	s.set(func() { s.hold = make(chan struct{}) })
	defer close(s.hold)
	h := u.trusted(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		for s.waiting.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(enough)
	}()
	if _, err := Dial(ctx, u.options, h); !errors.Is(err, state.ErrUnreachable) || !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	u.options.Timeout = 10 * time.Millisecond
	_, err := Dial(t.Context(), u.options, h)
	if !errors.Is(err, state.ErrUnreachable) || !strings.Contains(err.Error(), "no answer within 10ms") {
		t.Errorf("got %v", err)
	}
	var slow interface{ Timeout() bool }
	if !errors.As(err, &slow) || !slow.Timeout() {
		t.Errorf("it is not known as a time-out: %v", err)
	}
}

func TestAHostBehindAJumpHostIsReachedAndBothKeysAreChecked(t *testing.T) {
	u := newSetup(t)
	jump, inner := newServer(t, u.key), newServer(t, u.key)
	h := u.trusted(t, inner)
	h.SSH.Jump = fmt.Sprintf("ops@127.0.0.1:%d", jump.port())
	_, err := Dial(t.Context(), u.options, h)
	refused(t, err, "jump host", jump.fingerprint())
	if inner.accepted.Load() != 0 {
		t.Error("the host was dialled past a jump host that is not trusted")
	}
	h.SSH.AcceptNew = true
	c := dialed(t, u.options, h)
	if jump.accepted.Load() != 2 || inner.accepted.Load() != 1 || c.Stats().Connections != 1 {
		t.Errorf("%d connections to the jump host, %d to the host, stats %+v", jump.accepted.Load(), inner.accepted.Load(), c.Stats())
	}
	if _, err := c.SFTP(t.Context()); err != nil {
		t.Error(err)
	}
	h.HostKey = ssh.FingerprintSHA256(newKey(t).signer.PublicKey())
	_, err = Dial(t.Context(), u.options, h)
	refused(t, err, "web-1: host key")
}

func TestSSHConfigFillsInWhatTheReleaseLeavesOut(t *testing.T) {
	u := newSetup(t)
	key := newKey(t)
	jump, inner := newServer(t, key), newServer(t, key)
	u.write(t, "keys/shop", key.file)
	u.write(t, ".ssh/config", fmt.Appendf(nil, `
Host bastion
  HostName 127.0.0.1
  Port %d
  User ops
Host shop-*
  HostName 127.0.0.1
  Port %d
  User deploy
  IdentityFile ~/keys/shop
  ProxyJump bastion
Host *
  IdentityFile ~/keys/shop
`, jump.port(), inner.port()))
	h := release.Host{Name: "web-1", Address: "shop-1", SSH: release.SSH{User: "root", UserDefault: true, Port: 22, PortDefault: true, AcceptNew: true, KnownHosts: []string{"~/.ssh/known_hosts"}, Config: []string{"~/.ssh/none", "~/.ssh/config"}}}
	c := dialed(t, u.options, h)
	if c.wire.User() != "deploy" || jump.accepted.Load() != 1 || inner.accepted.Load() != 1 {
		t.Errorf("user %q, %d and %d connections", c.wire.User(), jump.accepted.Load(), inner.accepted.Load())
	}
	h.SSH.PortDefault, h.SSH.Port = false, 1 // written in deploy.hcl
	_, err := Dial(t.Context(), u.options, h)
	stage(t, err, StageDial, "127.0.0.1:1")
}

func TestAProxyCommandIsTheConnection(t *testing.T) {
	if _, err := os.Stat("/bin/bash"); err != nil {
		t.Skip("NOT RUN: there is no bash to be a proxy command")
	}
	u := newSetup(t)
	s := newServer(t, u.key)
	h := u.trusted(t, s)
	h.SSH.ProxyCommand = `/bin/bash -c 'exec 3<>/dev/tcp/"$0"/"$1"; cat <&3 & exec cat >&3' %h %p`
	c := dialed(t, u.options, h)
	if _, err := c.SFTP(t.Context()); err != nil {
		t.Error(err)
	}
	h.SSH.ProxyCommand = `/bin/bash -c 'echo the way is shut >&2; exit 1'`
	_, err := Dial(t.Context(), u.options, h)
	stage(t, err, StageShake, "the way is shut")
}

func TestAProxyCommandThatEndsSaysWhyToWhoeverWritesToo(t *testing.T) {
	if _, err := os.Stat("/bin/bash"); err != nil {
		t.Skip("NOT RUN: there is no bash to be a proxy command")
	}
	c, err := startCommand(target{command: `/bin/bash -c 'exec <&-; echo the way is shut >&2; exit 1'`})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for err == nil { // until its end of the pipe is shut
		_, err = c.Write([]byte("SSH-2.0-Go\r\n"))
	}
	if !strings.Contains(err.Error(), "the way is shut") {
		t.Error(err)
	}
}

func TestANameIsLookedUpAgainAsOftenAsTheFileSays(t *testing.T) {
	for _, retries := range []int{0, 2} {
		d := dialer{options: Options{Pause: time.Microsecond}.withDefaults(), ssh: release.SSH{DNSRetries: retries, KnownHosts: []string{"none"}}}
		tries := 0
		_, err := d.connect(t.Context(), target{label: "web-1", host: "web-1", port: 22}, func(context.Context) (net.Conn, error) {
			tries++
			return nil, &net.DNSError{Err: "no such host", Name: "web-1"}
		})
		stage(t, err, StageResolve, "web-1")
		if tries != retries+1 {
			t.Errorf("with %d retries it was looked up %d times", retries, tries)
		}
	}
}

func TestAWayThroughSeveralHostsNamesAUserAndAPortForEach(t *testing.T) {
	u := newSetup(t)
	outer, middle, inner := newServer(t, u.key), newServer(t, u.key), newServer(t, u.key)
	h := u.trusted(t, inner)
	h.SSH.AcceptNew = true
	h.SSH.Jump = fmt.Sprintf("ann@127.0.0.1:%d, ben@127.0.0.1:%d", outer.port(), middle.port())
	dialed(t, u.options, h)
	for name, s := range map[string]*server{"ann": outer, "ben": middle, "deploy": inner} {
		if got := s.user.Load(); got != name || s.accepted.Load() != 1 {
			t.Errorf("%v came, %d times, want %s once", got, s.accepted.Load(), name)
		}
	}
}

func TestKeysOnlyOffersNoOtherKeyOfTheAgents(t *testing.T) {
	u := newSetup(t)
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	u.options.Agent = runAgent(t, private)
	s := newServer(t, keyPair{signer: signer})
	h := u.trusted(t, s)
	h.SSH.Keys = []string{"~/.ssh/none"}
	dialed(t, u.options, h).Close()
	h.SSH.KeysOnly = true
	_, err = Dial(t.Context(), u.options, h)
	stage(t, err, StageAuth, "no key to offer")
}
