package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/mholt/acmez/v3"
)

// modernSuites are those of TLS 1.2 with forward secrecy and authenticated encryption; those of TLS 1.3 are not chosen.
var modernSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// listen opens the sockets for HTTP, HTTPS and, if it is wanted, HTTP/3. HTTPS is open before any service has a certificate:
// a name without one gets an alert. Without the port of HTTPS the proxy still serves HTTP.
func (s *Server) listen() (err error) {
	if _, err := readRoots(s.config.ACME.CARoot); err != nil {
		return err
	}
	if s.httpLn, err = s.config.Listen("tcp", s.listenAddress(s.config.HTTPPort)); err != nil {
		return fmt.Errorf("listening for HTTP: %w", err)
	}
	if s.httpsLn, err = s.config.Listen("tcp", s.listenAddress(s.config.HTTPSPort)); err != nil {
		s.httpsLn = nil
		s.config.Log.Error("HTTPS is not served", "error", fmt.Errorf("listening for HTTPS: %w", err))
		return nil
	}
	if s.config.HTTP3 {
		if err := s.listenHTTP3(); err != nil {
			s.config.Log.Error("HTTP/3 is not served", "error", err)
		}
	}
	return nil
}

func (s *Server) listenHTTP3() error {
	conn, err := s.config.ListenPacket("udp", s.listenAddress(s.HTTPSPort()))
	if err != nil {
		return err
	}
	l, err := newHTTP3Listener(conn, s.https, s.HTTPSPort(), s.config.Limits.Connections)
	if err != nil {
		return err
	}
	s.http3 = l
	return nil
}

func (s *Server) listenAddress(port int) string {
	return net.JoinHostPort(s.config.Bind, strconv.Itoa(port))
}

// newHTTPSServer answers as the HTTP server does, and says in every answer that there is HTTP/3, if there is.
func (s *Server) newHTTPSServer() *http.Server {
	server := s.newHTTPServer()
	server.TLSConfig = newTLSConfig(s.router)
	answer := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.http3 != nil && r.ProtoMajor < 3 {
			w.Header().Set("Alt-Svc", s.http3.advertisement)
		}
		answer.ServeHTTP(w, r)
	})
	return server
}

// newTLSConfig has the keys of session tickets made and rotated daily by crypto/tls, which does so as long as no key is set.
func newTLSConfig(r *Router) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   modernSuites,
		NextProtos:     []string{"h2", "http/1.1", acmez.ACMETLS1Protocol},
		GetCertificate: r.certificate,
	}
}
