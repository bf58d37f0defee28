package notify

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer speaks SMTP on loopback, and keeps what it was told.
type mailServer struct {
	address  string
	tls      *tls.Config
	starttls bool              // is offered
	implicit bool              // TLS from the start
	auth     string            // what it takes: "PLAIN", "LOGIN", "" for no login
	refuses  map[string]string // command line → answer in place of the usual one

	accepted func() // a connection was

	mu    sync.Mutex
	lines []string // commands, with what was logged in with decoded
	plain []string // those that came over no encryption
	mails [][]byte // as they came, with the dots
}

// serve starts it with a certificate for localhost and 127.0.0.1, and gives what trusts that.
func (s *mailServer) serve(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if s.accepted != nil {
				s.accepted()
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				if s.implicit {
					conn = tls.Server(conn, s.tls)
				}
				s.talk(conn)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// talk is one conversation, which goes on over TLS where that is begun.
func (s *mailServer) talk(conn net.Conn) {
	_, encrypted := conn.(*tls.Conn)
	in := textproto.NewReader(bufio.NewReader(conn))
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 localhost ready")
	for {
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		s.note(line, encrypted)
		if answer, refused := s.refuses[line]; refused {
			say("%s", answer)
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			say("250-localhost greets")
			if s.starttls && !encrypted {
				say("250-STARTTLS")
			}
			if s.auth != "" {
				say("250-AUTH %s", s.auth)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.tls)
			in, encrypted = textproto.NewReader(bufio.NewReader(conn)), true
		case "AUTH":
			if kind, initial, _ := strings.Cut(rest, " "); kind == "LOGIN" {
				initial = s.ask(in, say, "Username:") + " " + s.ask(in, say, "Password:")
				s.note("LOGIN "+initial, encrypted)
			} else {
				s.note("PLAIN "+decoded(initial), encrypted)
			}
			say("235 welcome")
		case "DATA":
			say("354 go on")
			content, err := rawMail(in.R)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.mails = append(s.mails, content)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *mailServer) ask(in *textproto.Reader, say func(string, ...any), what string) string {
	say("334 %s", base64.StdEncoding.EncodeToString([]byte(what)))
	line, _ := in.ReadLine()
	return decoded(line)
}

func (s *mailServer) note(line string, encrypted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	if !encrypted {
		s.plain = append(s.plain, line)
	}
}

// all is what was said to it.
func (s *mailServer) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func decoded(text string) string {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(data), "\x00", " ")
}

// rawMail reads up to the line with one dot.
func rawMail(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		if string(line) == ".\r\n" {
			return b.Bytes(), nil
		}
		b.Write(line)
	}
}
