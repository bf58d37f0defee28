package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func TestHTTP3TakesNoRequestBeforeTheHandshakeHasEnded(t *testing.T) {
	f, roots := startHTTP3(t, says("v1"))
	config := &tls.Config{RootCAs: roots, ServerName: "app.test", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	ask := func() (resumed, early bool) {
		var conn *quic.Conn
		transport := &http3.Transport{
			TLSClientConfig: config,
			Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, quicConfig *quic.Config) (c *quic.Conn, err error) {
				conn, err = quic.DialAddrEarly(ctx, fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort()), tlsConfig, quicConfig)
				return conn, err
			},
		}
		defer transport.Close()
		r, err := http.NewRequestWithContext(t.Context(), http3.MethodGet0RTT, "https://app.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("it got %d", resp.StatusCode)
		}
		receive(t, "the handshake's end", conn.HandshakeComplete())
		return conn.ConnectionState().TLS.DidResume, conn.ConnectionState().Used0RTT
	}
	eventually(t, "a connection goes on where another has ended", func() bool {
		resumed, early := ask()
		if early {
			t.Fatal("a request was taken before the handshake had ended")
		}
		return resumed
	})
}
