package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/kamald/kamald/state"
)

// outsideLimit is how long a name server or a server gets to answer.
const outsideLimit = 5 * time.Second

// Outside asks what anybody sees of an app: names, and the certificates that are served for them. It needs no host.
type Outside struct{}

// Addresses gives what a name, or an address, resolves to on this machine, sorted.
func (Outside) Addresses(ctx context.Context, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, outsideLimit)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, name)
	slices.Sort(found)
	return slices.Compact(found), err
}

// Served gives the certificate that a server at an address shows for a name. It is looked at and not trusted.
func (Outside) Served(ctx context.Context, address string, port int, name string) (state.ServedCertificate, error) {
	ctx, cancel := context.WithTimeout(ctx, outsideLimit)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return state.ServedCertificate{}, err
	}
	defer func() { _ = conn.Close() }()
	shown, ok := conn.(*tls.Conn)
	if !ok || len(shown.ConnectionState().PeerCertificates) == 0 {
		return state.ServedCertificate{}, errors.New("the server shows no certificate")
	}
	return certificateOf(shown.ConnectionState().PeerCertificates[0]), nil
}

// Parsed gives what the first certificate of a chain in PEM says.
func (Outside) Parsed(chain string) (state.ServedCertificate, error) {
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return state.ServedCertificate{}, errors.New("it is no PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return state.ServedCertificate{}, fmt.Errorf("it is no certificate: %w", err)
	}
	return certificateOf(certificate), nil
}

func certificateOf(c *x509.Certificate) state.ServedCertificate {
	return state.ServedCertificate{Names: c.DNSNames, From: c.NotBefore, Until: c.NotAfter, By: c.Issuer.CommonName}
}
