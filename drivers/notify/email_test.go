package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
)

// mailer sends to a server of the test, by an address in which SERVER stands for where that is.
func mailer(t *testing.T, s *mailServer, address string, to ...string) *Email {
	t.Helper()
	trust := s.serve(t)
	if len(to) == 0 {
		to = []string{"Öncall <oncall@example.com>", "ops@example.com"}
	}
	e, err := NewEmail(release.NewSecret(strings.ReplaceAll(address, "SERVER", s.address)), "kamald@bastion.example.com", to)
	if err != nil {
		t.Fatal(err)
	}
	return e.WithTLS(trust)
}

func final(err error) bool {
	_, ok := errors.AsType[*backoff.PermanentError](err)
	return ok
}

func TestAMailIsHandedInOverTLSWhereThatIsOffered(t *testing.T) {
	for name, test := range map[string]struct {
		server  *mailServer
		address string
		login   string
	}{
		"STARTTLS":                {&mailServer{starttls: true}, "smtp://SERVER", ""},
		"STARTTLS with a login":   {&mailServer{starttls: true, auth: "CRAM-MD5 PLAIN LOGIN"}, "smtp://ada:p%40ss%3Aw@SERVER", "PLAIN  ada p@ss:w"},
		"STARTTLS and AUTH LOGIN": {&mailServer{starttls: true, auth: "LOGIN"}, "smtp://ada:p%40ss@SERVER", "LOGIN ada p@ss"},
		"TLS from the start":      {&mailServer{implicit: true, auth: "PLAIN"}, "smtps://ada:pass@SERVER", "PLAIN  ada pass"},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.server
			e := mailer(t, s, test.address)
			if err := e.Send(t.Context(), message("a")); err != nil {
				t.Fatal(err)
			}
			if said := s.all(); len(s.mails) != 1 || !strings.Contains(said, "MAIL FROM:<kamald@bastion.example.com>") || !strings.Contains(said, "RCPT TO:<oncall@example.com>\nRCPT TO:<ops@example.com>") ||
				!strings.Contains(said, test.login) {
				t.Errorf("%d mails:\n%s", len(s.mails), said)
			}
			for _, line := range s.plain {
				if !strings.HasPrefix(line, "EHLO ") && line != "STARTTLS" {
					t.Errorf("%q was said without encryption", line)
				}
			}
		})
	}
}

func TestAPasswordGoesOverNoPlainConnection(t *testing.T) {
	s := &mailServer{auth: "PLAIN"}
	e := mailer(t, s, "smtp://ada:S3CRET@SERVER")
	if err := e.Send(t.Context(), message("a")); err != nil { // on this machine it may
		t.Fatal(err)
	}
	e.server.host = "127.0.0.1." // any other name for the check, and for the dialler still this machine
	err := e.server.prepareFor(t, s)
	if !final(err) || !strings.Contains(err.Error(), "no encryption") || strings.Count(s.all(), "S3CRET") != 1 {
		t.Errorf("%v; said\n%s", err, s.all())
	}
}

// prepareFor has a conversation up to the login, on a connection to the server.
func (s smtpServer) prepareFor(t *testing.T, to *mailServer) error {
	t.Helper()
	near := s
	near.host = "127.0.0.1"
	_, near.port, _ = strings.Cut(to.address, ":")
	client, err := near.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	return s.prepare(client)
}

func TestOnlyThisMachineIsHere(t *testing.T) {
	for host, here := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "127.0.0.1.example.com": false, "localhost.example.com": false, "10.0.0.1": false, "": false} {
		if (smtpServer{host: host}).here() != here {
			t.Errorf("%s: %t", host, !here)
		}
	}
}

func TestACertificateIsChecked(t *testing.T) {
	for _, s := range []*mailServer{{implicit: true, auth: "PLAIN"}, {starttls: true, auth: "PLAIN"}} {
		scheme := map[bool]string{true: "smtps", false: "smtp"}[s.implicit]
		e := mailer(t, s, scheme+"://ada:S3CRET@SERVER")
		e.server.tls = nil
		if err := e.Send(t.Context(), message("a")); err == nil || final(err) || !strings.Contains(err.Error(), "certificate") || strings.Contains(s.all(), "S3CRET") {
			t.Errorf("%s: %v; said\n%s", scheme, err, s.all())
		}
	}
}

func TestAMailSaysWhatTheMessageDoes(t *testing.T) {
	s := &mailServer{starttls: true}
	e := mailer(t, s, "smtp://SERVER")
	m := message("a")
	m.Details, m.Version, m.Release, m.Over, m.Lost = []string{".", "web: ünhealthy = <b>"}, "v2", 7, true, 2
	for range 2 {
		if err := e.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(s.mails[0], s.mails[1]) {
		t.Errorf("a second attempt is another mail:\n%s\n%s", s.mails[0], s.mails[1])
	}
	read, body := readMail(t, s.mails[0])
	want := "shop-production: over: web-1 drifted\r\n\r\n.\r\nweb: ünhealthy = <b>\r\nkind drifted, version v2, release 7, 2026-01-02T12:00:00Z\r\nMessages before this one that did not get through: 2.\r\n"
	if body != want {
		t.Errorf("the body is %q\nwant        %q", body, want)
	}
	for name, want := range map[string]string{"Subject": "shop-production: over: web-1 drifted", "From": "<kamald@bastion.example.com>", "Auto-Submitted": "auto-generated", "Date": "Fri, 02 Jan 2026 12:00:00 +0000"} {
		if got := read.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if to, err := read.Header.AddressList("To"); err != nil || len(to) != 2 || to[0].Name != "Öncall" {
		t.Errorf("%v, %v", to, err)
	}
}

// readMail takes a mail apart as a reader does, after the dots that SMTP adds.
func readMail(t *testing.T, raw []byte) (*mail.Message, string) {
	t.Helper()
	read, err := mail.ReadMessage(bytes.NewReader(bytes.ReplaceAll(raw, []byte("\r\n.."), []byte("\r\n."))))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
	if err != nil {
		t.Fatal(err)
	}
	return read, string(body)
}

func TestNoTextBecomesAHeaderOrACommand(t *testing.T) {
	s := &mailServer{starttls: true}
	e := mailer(t, s, "smtp://SERVER")
	m := Message{ID: hostile, Kind: hostile, Service: hostile, Destination: hostile, At: noon, Summary: hostile + strings.Repeat(" ünd mehr", 100), Details: []string{hostile}, Version: hostile}
	if err := e.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	read, body := readMail(t, s.mails[0])
	subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
	if err != nil || !strings.Contains(subject, "QUIT ünï") || strings.ContainsAny(subject, "\r\n\x1b\u202e") || len([]rune(subject)) > subjectLimit {
		t.Errorf("subject %q: %v", subject, err)
	}
	if read.Header.Get("Bcc") != "" || len(read.Header) != 9 || len(s.mails) != 1 || strings.Contains(s.all(), "mallory") {
		t.Errorf("headers %v; said\n%s", read.Header, s.all())
	}
	if strings.ContainsAny(body, "\x1b\u202e") || strings.Contains(body, "\nBcc:") {
		t.Errorf("body %q", body)
	}
	for line := range strings.Lines(string(s.mails[0])) {
		if len(line) > 100 || !strings.HasSuffix(line, "\r\n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
}

func TestWhatAMailServerRefusesIsFinalWhenItSaysSo(t *testing.T) {
	for name, test := range map[string]struct {
		refuses map[string]string
		mails   int
		final   bool
		says    string
	}{
		"one recipient":      {map[string]string{"RCPT TO:<ops@example.com>": "550 no such user"}, 1, true, "the recipient ops@example.com: 550 \"no such user\""},
		"every recipient":    {map[string]string{"RCPT TO:<ops@example.com>": "550 gone", "RCPT TO:<oncall@example.com>": "550 gone"}, 0, true, "the recipient oncall@example.com"},
		"a recipient, later": {map[string]string{"RCPT TO:<ops@example.com>": "450 greylisted"}, 0, false, "450 \"greylisted\""},
		"the sender":         {map[string]string{"MAIL FROM:<kamald@bastion.example.com> BODY=8BITMIME": "553 not yours"}, 0, true, "the sender kamald@bastion.example.com: 553"},
		"the mail, later":    {map[string]string{"DATA": "452 no room"}, 0, false, "452 \"no room\""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &mailServer{starttls: true, refuses: test.refuses}
			err := mailer(t, s, "smtp://SERVER").Send(t.Context(), message("a"))
			if err == nil || final(err) != test.final || !strings.Contains(err.Error(), test.says) || len(s.mails) != test.mails {
				t.Errorf("%v; %d mails; said\n%s", err, len(s.mails), s.all())
			}
		})
	}
}

func TestAWrongPasswordIsFinalAndNotShown(t *testing.T) {
	s := &mailServer{starttls: true, auth: "PLAIN", refuses: map[string]string{}}
	e := mailer(t, s, "smtp://ada:S3CRET@SERVER")
	s.refuses["AUTH PLAIN AGFkYQBTM0NSRVQ="] = "535 S3CRET is not the password of ada"
	err := e.Send(t.Context(), message("a"))
	if !final(err) || !strings.Contains(err.Error(), `535 "(secret) is not the password`) {
		t.Error(err)
	}
}

func TestAServerThatTakesNoLoginGetsNone(t *testing.T) {
	s := &mailServer{starttls: true}
	err := mailer(t, s, "smtp://ada:S3CRET@SERVER").Send(t.Context(), message("a"))
	if !final(err) || !strings.Contains(err.Error(), "leave user and password out") || strings.Contains(s.all(), "S3CRET") {
		t.Error(err)
	}
}

func TestAnAddressOfAServerThatIsNoneIsRefusedAndNotShown(t *testing.T) {
	for _, address := range []string{"mail.example.com:25", "http://S3CRET", "smtp://", "smtp://ada@S3CRET.example.com", "smtp://ada:S3CRET@mail.example.com/path", "smtp://ada:S3CRET@mail:port", "smtps://mail?tls=S3CRET"} {
		if _, err := NewEmail(release.NewSecret(address), "a@example.com", []string{"b@example.com"}); err == nil || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, test := range []struct {
		from string
		to   []string
	}{{"nobody", []string{"b@example.com"}}, {"a@example.com", nil}, {"a@example.com", []string{"b@example.com\r\nBcc: c@example.com"}}} {
		if _, err := NewEmail(release.NewSecret("smtp://mail.example.com"), test.from, test.to); err == nil {
			t.Errorf("from %q to %q is taken", test.from, test.to)
		}
	}
	if e, err := NewEmail(release.NewSecret("smtp://mail.example.com"), "a@example.com", []string{"b@example.com"}); err != nil || e.server.port != "587" {
		t.Errorf("%v", err)
	}
}

func TestAMailEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &mailServer{implicit: true, accepted: cancel} // it waits for TLS, and the client for its greeting
	e := mailer(t, s, "smtp://SERVER")
	if err := e.Send(ctx, message("a")); err == nil || final(err) {
		t.Error(err)
	}
}
