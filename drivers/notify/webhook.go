package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
)

// WebhookSchema is the version of what a webhook posts.
const WebhookSchema = 1

// The headers of a signed post. The signature is over the timestamp (Unix seconds, of this attempt), a dot and the body.
const (
	SignatureHeader = "X-Kamald-Signature" // sha256=HEX
	TimestampHeader = "X-Kamald-Timestamp"
)

// Webhook posts messages as JSON.
type Webhook struct {
	post
	key release.Secret
}

// NewWebhook makes a sender to a URL. With a key every post is signed; with an empty one none is.
func NewWebhook(url, key release.Secret) (*Webhook, error) {
	p, err := newPost(url)
	if err != nil {
		return nil, err
	}
	return &Webhook{post: p, key: key}, nil
}

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	m.At = m.At.UTC()
	body, err := json.Marshal(struct {
		Schema int `json:"schema"`
		Message
	}{WebhookSchema, m})
	if err != nil {
		return backoff.Permanent(err)
	}
	header := http.Header{}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	header.Set(TimestampHeader, timestamp)
	if key := w.key.Reveal(); key != "" {
		header.Set(SignatureHeader, sign(key, timestamp, body))
	}
	return w.send(ctx, body, header)
}

func sign(key, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
