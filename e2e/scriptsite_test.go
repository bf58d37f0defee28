package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// theScript stands in for https://get.docker.com, which the lab cannot reach. It has that script's form: all that it does is in a
// function that its last line calls. Its first line leaves a mark when as much as that was run.
const theScript = `#!/bin/sh
touch /var/tmp/script-begun
set -e
# a comment, as the official script has many

do_install() {
	echo "# Executing docker install script, commit: none"
	touch /var/tmp/script-ran
	apt-get update -qq >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io >/dev/null
	echo "installed docker.io"
	exit 0
}

# wrapped up in a function so that we have some protection against only getting
# half the file
do_install
`

// answering is how the site answers a request; it may end the connection as it likes.
type answering func(w http.ResponseWriter)

// whole gives a script as it should be.
func whole(script string) answering {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", fmt.Sprint(len(script)))
		_, _ = io.WriteString(w, script)
	}
}

// cutOff promises the whole script, and ends the connection after some bytes of it.
func cutOff(script string, after int) answering {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", fmt.Sprint(len(script)))
		_, _ = io.WriteString(w, script[:after])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// unmeasured promises no length: the end of the connection, in all form, is the end of the script.
func unmeasured(script string) answering {
	return func(w http.ResponseWriter) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = conn.Close() }()
		send(out, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"+script)
	}
}

func send(out *bufio.ReadWriter, text string) {
	_, _ = out.WriteString(text)
	_ = out.Flush()
}

// scriptSite is https://get.docker.com for the bare hosts.
type scriptSite struct {
	t    *testing.T
	root string // the certificate of its authority, PEM
	port string
	at   string

	mu     sync.Mutex
	answer map[string]answering // by the client's address
	asked  map[string]int
}

func newScriptSite(t *testing.T, l *lab.Lab) *scriptSite {
	t.Helper()
	gateway, err := l.Gateway()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(gateway, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &scriptSite{t: t, at: gateway, answer: map[string]answering{}, asked: map[string]int{}}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	certificate, root := siteCertificate(t)
	s.root = root
	server := &http.Server{Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		// HTTP/1 alone: an answer without a length is no answer of HTTP/2.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// ServeHTTP implements http.Handler.
func (s *scriptSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.mu.Lock()
	answer := s.answer[client]
	s.asked[client]++
	s.mu.Unlock()
	if answer == nil {
		http.Error(w, "nobody is to ask for this", http.StatusForbidden)
		return
	}
	answer(w)
}

// serve says how a host's requests are answered from now on.
func (s *scriptSite) serve(b *lab.Bare, answer answering) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[b.Address] = answer
}

// count is how often a host has asked.
func (s *scriptSite) count(b *lab.Bare) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[b.Address]
}

// trust lets a bare host reach the site under its name and port, and trust it, so that kamald's own commands are run as they are.
func (s *scriptSite) trust(f *fixture, b *lab.Bare) {
	f.t.Helper()
	f.exec(&b.Host, "sh", "-c", `printf '%s' "$1" >>/etc/ssl/certs/ca-certificates.crt`, "sh", s.root)
	f.exec(&b.Host, "iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", s.at, "--dport", "443", "-j", "DNAT", "--to-destination", net.JoinHostPort(s.at, s.port))
}

// siteCertificate makes a certificate for get.docker.com, and the authority's that signed it.
func siteCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	begin, end := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	rootKey, leafKey := key(), key()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kamald test authority"}, NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "get.docker.com"}, DNSNames: []string{"get.docker.com"},
		NotBefore: begin, NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	rootDER := sign(root, root, &rootKey.PublicKey, rootKey)
	leafDER := sign(leaf, root, &leafKey.PublicKey, rootKey)
	pemRoot := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}))
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, "\n" + strings.TrimSpace(pemRoot) + "\n"
}
