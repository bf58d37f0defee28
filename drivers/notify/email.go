package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
)

// subjectLimit is how many characters of a summary stand in a subject.
const subjectLimit = 200

// Email sends messages as mails of plain text.
type Email struct {
	server smtpServer
	from   *mail.Address
	to     []*mail.Address
}

// NewEmail makes a sender by way of a mail server, "smtp://[USER:PASSWORD@]HOST[:PORT]", or smtps:// for TLS from the start. Over smtp://
// the connection is encrypted where the server offers that; a password goes over none that is not, but on this machine.
func NewEmail(server release.Secret, from string, to []string) (*Email, error) {
	s, err := parseServer(server)
	if err != nil {
		return nil, err
	}
	e := &Email{server: s}
	if e.from, err = mail.ParseAddress(from); err != nil {
		return nil, fmt.Errorf("from: %q is no mail address: %w", from, err)
	}
	if len(to) == 0 {
		return nil, errors.New("to: nobody is named")
	}
	for _, text := range to {
		address, err := mail.ParseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("to: %q is no mail address: %w", text, err)
		}
		e.to = append(e.to, address)
	}
	return e, nil
}

// WithTLS has the server's certificate checked by another configuration than this machine's.
func (e *Email) WithTLS(config *tls.Config) *Email {
	e.server.tls = config
	return e
}

// Send implements Sender. What the server refuses for good is permanent.
func (e *Email) Send(ctx context.Context, m Message) error {
	content, err := e.content(m)
	if err != nil {
		return err
	}
	var to []string
	for _, address := range e.to {
		to = append(to, address.Address)
	}
	return e.server.send(ctx, e.from.Address, to, content)
}

// content is the mail. Every attempt gives the same bytes, so that a server may notice what it has already.
func (e *Email) content(m Message) ([]byte, error) {
	var to []string
	for _, address := range e.to {
		to = append(to, address.String())
	}
	domain := e.from.Address[strings.LastIndexByte(e.from.Address, '@')+1:]
	sum := sha256.Sum256([]byte(strings.Join([]string{m.ID, m.Kind, m.Service, m.Destination, m.Summary, m.At.UTC().Format(time.RFC3339Nano)}, "\x00")))
	var b bytes.Buffer
	for _, header := range [][2]string{
		{"From", e.from.String()}, {"To", strings.Join(to, ",\r\n ")}, {"Subject", subject(m)},
		{"Date", m.At.UTC().Format(time.RFC1123Z)}, {"Message-ID", "<" + hex.EncodeToString(sum[:16]) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", header[0], header[1])
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	_, err := body.Write([]byte(m.title() + "\n\n" + strings.Join(m.lines(), "\n") + "\n"))
	return b.Bytes(), errors.Join(err, body.Close())
}

// subject is the title as a header may have it, folded where its words are.
func subject(m Message) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", most(m.title(), subjectLimit)), "?= =?", "?=\r\n =?")
}
