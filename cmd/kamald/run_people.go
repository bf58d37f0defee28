package main

import (
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/kamald/kamald/drivers/notify"
	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
)

// people are those who are told of an app's transitions.
type people struct{ outbox *notify.Outbox }

// newPeople makes the notify blocks of an app ready.
func (s *service) newPeople(driven release.DrivenApp) (*people, error) {
	if len(driven.Notify) == 0 {
		return &people{}, nil
	}
	values, err := secrets.Load("/", driven.SecretFiles, nil, nil)
	if err != nil {
		return nil, err
	}
	var receivers []notify.Receiver
	for i, n := range driven.Notify {
		sender, err := senderOf(n, values)
		if err != nil {
			return nil, fmt.Errorf("app %q, notify %q: %w", driven.Service, n.Kind, err)
		}
		receivers = append(receivers, notify.Receiver{Name: fmt.Sprintf("%s %d", n.Kind, i+1), On: n.On, Sender: sender})
	}
	return &people{outbox: notify.NewOutbox(receivers, func(receiver string, m notify.Message, err error) {
		s.log.Warn().Err(err).Str("receiver", receiver).Str("kind", m.Kind).Str("service", m.Service).Msg("somebody could not be told")
	})}, nil
}

func senderOf(n release.Notify, values *secrets.Lookup) (notify.Sender, error) {
	named := func(name, clear string) (release.Secret, error) {
		if name == "" {
			return release.NewSecret(clear), nil
		}
		value, ok, err := values.Secret(name)
		if err == nil && !ok {
			err = fmt.Errorf("secret %s is not at hand: none of %v has it", name, values.Sources())
		}
		return value, err
	}
	switch n.Kind {
	case release.NotifyEmail:
		server, err := named(n.SMTPSecret, n.SMTP)
		if err != nil {
			return nil, err
		}
		machine, err := os.Hostname()
		if err != nil {
			machine = "localhost"
		}
		return notify.NewEmail(server, "kamald@"+machine, n.To)
	}
	url, err := named(n.URLSecret, n.URL)
	if err != nil {
		return nil, err
	}
	if n.Kind == release.NotifySlack {
		return notify.NewSlack(url)
	}
	key, err := named(n.Secret, "")
	if err != nil {
		return nil, err
	}
	return notify.NewWebhook(url, key)
}

// tell puts a transition into the outbox; it never waits.
func (p *people) tell(t loop.Transition) {
	if p == nil || p.outbox == nil {
		return
	}
	m := notify.Message{Kind: t.Kind, Service: t.App.Service, Destination: t.App.Destination, At: t.At, Summary: t.Summary, Version: t.Version, Release: t.Release, Over: t.Over}
	for _, c := range t.Reasons {
		m.Details = append(m.Details, c.Kind+": "+c.Reason)
		if c.Next != "" {
			m.Details = append(m.Details, "next: "+c.Next)
		}
	}
	for _, f := range t.Findings {
		m.Details = append(m.Details, fmt.Sprintf("%s on %s: %s %s", f.Class, f.Host, f.Name, f.Reason))
	}
	m.ID = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, m.Kind, m.Service, m.Destination, m.At.UnixNano(), m.Summary)))[:32]
	p.outbox.Tell(m)
}

func (p *people) close() {
	if p.outbox != nil {
		_ = p.outbox.Close() // what was not told is logged
	}
}
