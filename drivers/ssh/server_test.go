package ssh

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/kamald/kamald/release"
)

// server is an sshd of this process, on loopback.
type server struct {
	t        *testing.T
	listener net.Listener
	keys     []ssh.Signer
	allowed  ssh.PublicKey

	mu        sync.Mutex
	drop      int  // connections to close before a word
	noSockets bool // refuse to forward sockets
	noTCP     bool // refuse to forward TCP
	hold      chan struct{}

	accepted, waiting, most atomic.Int64
	user                    atomic.Value // who came last
	requests                atomic.Int64 // global requests: keepalives
	frozen                  atomic.Bool
	thawed                  chan struct{}
	signals                 atomic.Int64 // to a command that stays
	left                    atomic.Int64 // commands that stay, whose session was closed
}

// keyPair is a key of a user: the file's content and its public half.
type keyPair struct {
	file   []byte
	signer ssh.Signer
}

func newKey(t *testing.T) keyPair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{file: pem.EncodeToMemory(block), signer: signer}
}

func ecdsaSigner(t *testing.T) ssh.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// newServer listens; its fields are changed through set.
func newServer(t *testing.T, user keyPair) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, listener: listener, keys: []ssh.Signer{newKey(t).signer}, allowed: user.signer.PublicKey(), thawed: make(chan struct{})}
	t.Cleanup(func() {
		listener.Close()
		if s.frozen.Load() {
			close(s.thawed)
		}
	})
	go s.accept()
	return s
}

// set changes what the server does from now on.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *server) fingerprint() string { return ssh.FingerprintSHA256(s.keys[0].PublicKey()) }

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.accepted.Add(1)
		go s.serve(conn)
	}
}

func (s *server) serve(raw net.Conn) {
	defer raw.Close()
	s.mu.Lock()
	drop, hold, allowed, keys := s.drop > 0, s.hold, s.allowed, s.keys
	s.drop--
	s.mu.Unlock()
	if drop {
		raw.(*net.TCPConn).SetLinger(0) // a reset, as sshd's beyond MaxStartups
		return
	}
	now := s.waiting.Add(1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	if hold != nil {
		<-hold
	}
	s.waiting.Add(-1) // not after the handshake: the client may be through with it before, and another be let in
	config := &ssh.ServerConfig{PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		s.user.Store(meta.User())
		if bytes.Equal(key.Marshal(), allowed.Marshal()) {
			return nil, nil
		}
		return nil, errors.New("not this key")
	}}
	for _, key := range keys {
		config.AddHostKey(key)
	}
	conn, channels, requests, err := ssh.NewServerConn(&freezing{raw, s}, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() {
		for request := range requests {
			s.requests.Add(1)
			request.Reply(false, nil)
		}
	}()
	for channel := range channels {
		go s.open(channel)
	}
}

// freezing is a connection whose server can stop answering without closing it.
type freezing struct {
	net.Conn
	s *server
}

func (f *freezing) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if f.s.frozen.Load() {
		<-f.s.thawed
	}
	return n, err
}

func (s *server) open(n ssh.NewChannel) {
	var target net.Conn
	var err error
	s.mu.Lock()
	noSockets, noTCP := s.noSockets, s.noTCP
	s.mu.Unlock()
	switch n.ChannelType() {
	case "direct-streamlocal@openssh.com":
		var m struct {
			Path, Reserved string
			Port           uint32
		}
		ssh.Unmarshal(n.ExtraData(), &m)
		if err = errors.New("forbidden"); !noSockets {
			target, err = net.Dial("unix", m.Path)
		}
		if err != nil {
			n.Reject(ssh.ConnectionFailed, "open failed") // one answer for every cause, as OpenSSH
			return
		}
	case "direct-tcpip":
		var m struct {
			Host       string
			Port       uint32
			Origin     string
			OriginPort uint32
		}
		ssh.Unmarshal(n.ExtraData(), &m)
		if noTCP {
			n.Reject(ssh.Prohibited, "open failed")
			return
		}
		if target, err = net.Dial("tcp", net.JoinHostPort(m.Host, fmt.Sprint(m.Port))); err != nil {
			n.Reject(ssh.ConnectionFailed, "Connection refused")
			return
		}
	case "session":
		s.session(n)
		return
	default:
		n.Reject(ssh.UnknownChannelType, "no")
		return
	}
	channel, requests, err := n.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	go func() {
		io.Copy(channel, target)
		channel.Close()
	}()
	io.Copy(target, channel)
	target.Close()
}

// session serves SFTP, and one command: it says its own command line, and "stay" begins and has no end.
func (s *server) session(n ssh.NewChannel) {
	channel, requests, err := n.Accept()
	if err != nil {
		return
	}
	stays := false
	for request := range requests {
		var m struct{ Text string }
		ssh.Unmarshal(request.Payload, &m)
		switch {
		case request.Type == "subsystem" && m.Text == "sftp":
			request.Reply(true, nil)
			server, err := sftp.NewServer(channel)
			if err == nil {
				go server.Serve()
			}
		case request.Type == "exec" && m.Text == "stay":
			stays = true
			request.Reply(true, nil)
			fmt.Fprint(channel, "begun")
		case request.Type == "signal":
			s.signals.Add(1)
		case request.Type == "exec":
			request.Reply(true, nil)
			fmt.Fprint(channel, m.Text)
			fmt.Fprint(channel.Stderr(), "a complaint")
			channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{3}))
			channel.Close()
		default:
			request.Reply(false, nil)
		}
	}
	if stays {
		s.left.Add(1)
	}
}

// setup is a user with a home directory, a key and no agent.
type setup struct {
	home    string
	key     keyPair
	options Options
}

func newSetup(t *testing.T) setup {
	t.Helper()
	u := setup{home: t.TempDir(), key: newKey(t)}
	u.options = Options{Home: u.home, Agent: filepath.Join(u.home, "no-agent"), Timeout: 10 * time.Second, Pause: time.Millisecond}
	u.write(t, ".ssh/id_ed25519", u.key.file)
	return u
}

func (u setup) write(t *testing.T, name string, data []byte) {
	t.Helper()
	name = filepath.Join(u.home, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (u setup) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(u.home, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// host is the release's host for a server.
func (u setup) host(s *server) release.Host {
	return release.Host{Name: "web-1", Address: "127.0.0.1", SSH: release.SSH{
		User: "deploy", Port: s.port(), KnownHosts: []string{"~/.ssh/known_hosts"}, DNSRetries: 2}}
}

// trusted is a host whose key is known.
func (u setup) trusted(t *testing.T, s *server) release.Host {
	t.Helper()
	h := u.host(s)
	h.HostKey = s.fingerprint()
	return h
}

func dialed(t *testing.T, o Options, h release.Host) *Client {
	t.Helper()
	c, err := Dial(t.Context(), o, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
