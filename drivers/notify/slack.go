package notify

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
)

// slackLimit is how many characters Slack shows of a text.
const slackLimit = 4000

// Slack posts messages to an incoming webhook.
type Slack struct{ post }

// NewSlack makes a sender to an incoming webhook's URL.
func NewSlack(url release.Secret) (*Slack, error) {
	p, err := newPost(url)
	if err != nil {
		return nil, err
	}
	return &Slack{p}, nil
}

// Send implements Sender.
func (s *Slack) Send(ctx context.Context, m Message) error {
	text := slackText(m.title())
	for _, detail := range m.lines() {
		text += "\n• " + slackText(detail)
	}
	// Names may have asterisks and the like in them, which Slack has no escape for: the text is shown as it is.
	body, err := json.Marshal(map[string]any{"text": most(text, slackLimit), "mrkdwn": false, "unfurl_links": false, "unfurl_media": false})
	if err != nil {
		return backoff.Permanent(err)
	}
	return s.send(ctx, body, nil)
}

// slackText keeps a text from being a link or a mention: Slack reads <…> as that, also without its markup.
func slackText(text string) string { return slackEscapes.Replace(text) }

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
