package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
)

// smtpServer is where mails are handed in.
type smtpServer struct {
	host, port     string
	encrypted      bool // from the start
	user, password release.Secret
	login          bool
	tls            *tls.Config // nil: as this machine checks certificates
}

// parseServer reads its URL, which may have a password in it: no error shows it.
func parseServer(address release.Secret) (smtpServer, error) {
	const form = "smtp is no address of the form smtp://HOST:PORT or smtps://USER:PASSWORD@HOST"
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return smtpServer{}, errors.New(form)
	}
	s := smtpServer{host: u.Hostname(), port: u.Port()}
	switch u.Scheme {
	case "smtp":
		s.port = cmp.Or(s.port, "587")
	case "smtps":
		s.encrypted, s.port = true, cmp.Or(s.port, "465")
	default:
		return smtpServer{}, errors.New(form)
	}
	if u.User != nil {
		password, has := u.User.Password()
		if !has {
			return smtpServer{}, errors.New("smtp names a user and no password: it is smtp://USER:PASSWORD@HOST")
		}
		s.login, s.user, s.password = true, release.NewSecret(u.User.Username()), release.NewSecret(password)
	}
	return s, nil
}

// send hands one mail in. Recipients that the server refuses do not keep the others from getting it.
func (s smtpServer) send(ctx context.Context, from string, to []string, content []byte) error {
	client, err := s.dial(ctx)
	if err != nil {
		return s.outcome("connecting to the mail server", err)
	}
	defer func() { _ = client.Close() }()
	if err := s.prepare(client); err != nil {
		return err
	}
	if err := client.Mail(from); err != nil {
		return s.outcome("the sender "+from, err)
	}
	var refused []error
	for _, address := range to {
		err := client.Rcpt(address)
		if err != nil && !forGood(err) {
			return s.outcome("the recipient "+address, err)
		}
		if err != nil {
			refused = append(refused, s.outcome("the recipient "+address, err))
		}
	}
	if len(refused) == len(to) {
		return errors.Join(refused...)
	}
	w, err := client.Data()
	if err != nil {
		return s.outcome("the mail", err)
	}
	if _, err := w.Write(content); err != nil {
		return s.outcome("the mail", err)
	}
	if err := w.Close(); err != nil {
		return s.outcome("the mail", err)
	}
	_ = client.Quit() // the mail is there already
	return errors.Join(refused...)
}

// dial connects. When the context ends, whatever is under way on the connection fails.
func (s smtpServer) dial(ctx context.Context) (*smtp.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return nil, err
	}
	if deadline, has := ctx.Deadline(); has {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // in the past
	if s.encrypted {
		conn = tls.Client(conn, s.config())
	}
	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return client, nil
}

// prepare encrypts the connection where that is offered, and logs in.
func (s smtpServer) prepare(client *smtp.Client) error {
	encrypted := s.encrypted
	if offered, _ := client.Extension("STARTTLS"); offered && !encrypted {
		if err := client.StartTLS(s.config()); err != nil {
			return s.outcome("STARTTLS", err)
		}
		encrypted = true
	}
	if !s.login {
		return nil
	}
	if !encrypted && !s.here() {
		return backoff.Permanent(errors.New("the mail server offers no encryption, and a password is not sent without: use smtps://, or a server with STARTTLS"))
	}
	offered, kinds := client.Extension("AUTH")
	if !offered {
		return backoff.Permanent(errors.New("the mail server takes no login: leave user and password out"))
	}
	var auth smtp.Auth = plainAuth{s}
	if list := strings.Fields(strings.ToUpper(kinds)); !slices.Contains(list, "PLAIN") && slices.Contains(list, "LOGIN") {
		auth = &loginAuth{server: s}
	}
	if err := client.Auth(auth); err != nil {
		return s.outcome("the login at the mail server", err)
	}
	return nil
}

func (s smtpServer) config() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.tls != nil {
		config = s.tls.Clone()
	}
	config.ServerName = cmp.Or(config.ServerName, s.host)
	return config
}

// here tells whether the server is on this machine.
func (s smtpServer) here() bool {
	address, err := netip.ParseAddr(s.host)
	return s.host == "localhost" || err == nil && address.IsLoopback()
}

// outcome is an error with what was tried, permanent where the server says so, and without what was logged in with.
func (s smtpServer) outcome(what string, err error) error {
	text := line(err.Error())
	for _, secret := range []release.Secret{s.password, s.user} {
		if value := secret.Reveal(); value != "" {
			text = strings.ReplaceAll(text, value, secret.String())
		}
	}
	told := fmt.Errorf("%s: %s", what, most(text, 300))
	if forGood(err) {
		return backoff.Permanent(told)
	}
	return told
}

// forGood tells whether a server's answer would be the same tomorrow.
func forGood(err error) bool {
	answer, ok := errors.AsType[*textproto.Error](err)
	return ok && answer.Code/100 == 5
}

// plainAuth is AUTH PLAIN. That the connection is safe for it has been seen to.
type plainAuth struct{ server smtpServer }

func (a plainAuth) Start(*smtp.ServerInfo) (string, []byte, error) {
	return "PLAIN", []byte("\x00" + a.server.user.Reveal() + "\x00" + a.server.password.Reveal()), nil
}

func (a plainAuth) Next(_ []byte, more bool) ([]byte, error) {
	if more {
		return nil, errors.New("the mail server asks for more than a name and a password")
	}
	return nil, nil
}

// loginAuth is AUTH LOGIN, which is all that some servers have: they ask for the name, then for the password.
type loginAuth struct {
	server smtpServer
	asked  int
}

func (a *loginAuth) Start(*smtp.ServerInfo) (string, []byte, error) { return "LOGIN", nil, nil }

func (a *loginAuth) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	a.asked++
	switch a.asked {
	case 1:
		return []byte(a.server.user.Reveal()), nil
	case 2:
		return []byte(a.server.password.Reveal()), nil
	}
	return nil, errors.New("the mail server asks for more than a name and a password")
}
