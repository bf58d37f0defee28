package ssh

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/kamald/kamald/state"
)

// refused asserts that a dial ended at the host key, with all these words in the error.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) || failed.Stage != StageHostKey || !errors.Is(err, ErrHostKey) || !errors.Is(err, state.ErrUnreachable) {
		t.Fatalf("got %v, want a refused host key", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in the error:\n%v", word, err)
		}
	}
}

func TestAnUnknownHostKeyIsRefusedWithItsFingerprintAndTheCommandThatAcceptsIt(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	s.set(func() { s.keys = append(s.keys, ecdsaSigner(t)) }) // of several keys, the type that ssh prefers is shown
	_, err := Dial(t.Context(), u.options, u.host(s))
	refused(t, err, "web-1: host key:", "is unknown", "ssh_host_ed25519_key.pub", "ssh-ed25519 "+s.fingerprint(),
		fmt.Sprintf("ssh-keyscan -p %d 127.0.0.1 >> %s/.ssh/known_hosts", s.port(), u.home), fmt.Sprintf("host_key = %q", s.fingerprint()))
	if _, err := os.Stat(filepath.Join(u.home, ".ssh/known_hosts")); err == nil {
		t.Error("the key was remembered although strict was asked for")
	}
}

func TestAKnownHostKeyIsAcceptedPlainAndHashed(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	address := fmt.Sprintf("[127.0.0.1]:%d", s.port())
	for _, entry := range []string{address, knownhosts.HashHostname(address)} {
		u.write(t, ".ssh/known_hosts", []byte("# hosts\n"+knownhosts.Line([]string{entry}, s.keys[0].PublicKey())+"\n"))
		dialed(t, u.options, u.host(s)).Close()
	}
}

func TestEveryFileOfKnownHostsIsReadAndTheFirstGetsNewKeys(t *testing.T) {
	u := newSetup(t)
	known, unknown := newServer(t, u.key), newServer(t, u.key)
	u.write(t, "hosts/theirs", []byte(knownhosts.Line([]string{known.listener.Addr().String()}, known.keys[0].PublicKey())+"\n"))
	h := u.host(known)
	h.SSH.KnownHosts = []string{"~/hosts/mine", "~/hosts/theirs"}
	dialed(t, u.options, h).Close()
	h = u.host(unknown)
	h.SSH.KnownHosts, h.SSH.AcceptNew = []string{"~/hosts/mine", "~/hosts/theirs"}, true
	dialed(t, u.options, h).Close()
	if mine := u.read(t, "hosts/mine"); !strings.Contains(mine, fmt.Sprint(unknown.port())) {
		t.Errorf("the first file has %q", mine)
	}
}

func TestAChangedHostKeyIsRefusedEvenWhenNewOnesAreAccepted(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	other := newKey(t).signer.PublicKey()
	u.write(t, ".ssh/known_hosts", []byte("# one line before\n"+knownhosts.Line([]string{s.listener.Addr().String()}, other)+"\n"))
	before := u.read(t, ".ssh/known_hosts")
	h := u.host(s)
	h.SSH.AcceptNew = true
	_, err := Dial(t.Context(), u.options, h)
	refused(t, err, "CHANGED", s.fingerprint(), ssh.FingerprintSHA256(other), "known_hosts:2",
		fmt.Sprintf("ssh-keygen -f %s/.ssh/known_hosts -R '[127.0.0.1]:%d'", u.home, s.port()))
	if u.read(t, ".ssh/known_hosts") != before {
		t.Error("known_hosts was written to")
	}
}

func TestAHostWhoseKnownKeyTypeIsGoneCountsAsChanged(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	known := ecdsaSigner(t).PublicKey() // the server has an ed25519 key only
	u.write(t, ".ssh/known_hosts", []byte(knownhosts.Line([]string{s.listener.Addr().String()}, known)+"\n"))
	_, err := Dial(t.Context(), u.options, u.host(s))
	refused(t, err, "CHANGED", ssh.FingerprintSHA256(known), "ssh-keygen")
}

func TestTheKeyTypeThatIsKnownIsAskedForWhenTheHostHasSeveral(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	s.set(func() { s.keys = append(s.keys, ecdsaSigner(t)) })
	for _, key := range s.keys {
		u.write(t, ".ssh/known_hosts", []byte(knownhosts.Line([]string{s.listener.Addr().String()}, key.PublicKey())+"\n"))
		dialed(t, u.options, u.host(s)).Close()
	}
}

func TestANewHostKeyIsRememberedWhenThatIsAskedFor(t *testing.T) {
	u := newSetup(t)
	first, second := newServer(t, u.key), newServer(t, u.key)
	for _, s := range []*server{first, second, first} {
		h := u.host(s)
		h.SSH.AcceptNew = true
		dialed(t, u.options, h).Close()
	}
	if lines := strings.Count(u.read(t, ".ssh/known_hosts"), "\n"); lines != 2 {
		t.Errorf("known_hosts has %d lines, want one a host:\n%s", lines, u.read(t, ".ssh/known_hosts"))
	}
	info, err := os.Stat(filepath.Join(u.home, ".ssh/known_hosts"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("known_hosts: %v, %v", info.Mode(), err)
	}
	dialed(t, u.options, u.host(first)) // strict again: it is known now
}

func TestAPinnedHostKeyWinsOverKnownHosts(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	s.set(func() { s.keys = append(s.keys, ecdsaSigner(t)) })
	u.write(t, ".ssh/known_hosts", []byte(knownhosts.Line([]string{s.listener.Addr().String()}, newKey(t).signer.PublicKey())+"\n"))
	for _, key := range s.keys { // of whatever type the pinned one is
		h := u.host(s)
		h.HostKey = ssh.FingerprintSHA256(key.PublicKey())
		dialed(t, u.options, h).Close()
	}
	h := u.host(s)
	h.SSH.AcceptNew = true
	h.HostKey = ssh.FingerprintSHA256(newKey(t).signer.PublicKey())
	_, err := Dial(t.Context(), u.options, h)
	refused(t, err, h.HostKey, s.fingerprint(), ssh.FingerprintSHA256(s.keys[1].PublicKey()), "host_key")
}
