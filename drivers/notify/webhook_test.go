package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
)

// hostile is a text as nobody should give one.
const hostile = "<!channel> <http://evil|click> &amp; \x1b[31m*b*\r\nBcc: mallory@example.com\r\n\r\n.\r\n\u202eQUIT ünï"

// webServer keeps what was posted to it, as it came.
func webServer(t *testing.T, code int, says string) (address string, posted func() []*http.Request, raw func() [][]byte) {
	t.Helper()
	var requests []*http.Request
	var dumps [][]byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		requests, dumps = append(requests, r), append(dumps, dump)
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, says)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []*http.Request { return requests }, func() [][]byte { return dumps }
}

// bodyOf is a dump's.
func bodyOf(dump []byte) []byte {
	_, body, _ := bytes.Cut(dump, []byte("\r\n\r\n"))
	return body
}

func TestAPostIsSigned(t *testing.T) {
	address, posted, raw := webServer(t, http.StatusOK, "")
	hook, err := NewWebhook(release.NewSecret(address+"/hook"), release.NewSecret("k3y"))
	if err != nil {
		t.Fatal(err)
	}
	m := message("a")
	m.Details, m.Version, m.Release, m.Over = []string{hostile}, "v2", 7, true
	if err := hook.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	header, body := posted()[0].Header, bodyOf(raw()[0])
	if header.Get(SignatureHeader) != sign("k3y", header.Get(TimestampHeader), body) || header.Get("Content-Type") != "application/json" || posted()[0].Method != http.MethodPost {
		t.Errorf("headers %v", header)
	}
	for _, wrong := range []string{sign("other", header.Get(TimestampHeader), body), sign("k3y", "1", body), sign("k3y", header.Get(TimestampHeader), append(body, ' '))} {
		if header.Get(SignatureHeader) == wrong {
			t.Error("another key, time or body has the same signature")
		}
	}
	var read struct {
		Schema int
		Message
	}
	if err := json.Unmarshal(body, &read); err != nil || read.Schema != WebhookSchema || read.ID != "a" || read.Details[0] != hostile || read.Release != 7 || !read.Over || !read.At.Equal(noon) {
		t.Errorf("%v: %s", err, body)
	}
}

func TestWithoutAKeyThereIsNoSignature(t *testing.T) {
	address, posted, _ := webServer(t, http.StatusOK, "")
	hook, err := NewWebhook(release.NewSecret(address), release.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Send(t.Context(), message("a")); err != nil || posted()[0].Header.Get(SignatureHeader) != "" {
		t.Errorf("%v: %v", err, posted()[0].Header)
	}
}

// TestTheExampleOfThePageVerifiesAPost runs the page's example with a post as it came.
func TestTheExampleOfThePageVerifiesAPost(t *testing.T) {
	page, err := os.ReadFile("../../docs/notifications.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```go\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/notifications.md has no example in Go")
	}
	dir := t.TempDir()
	program := "package main\n\nimport (\n\t\"bufio\"\n\t\"crypto/hmac\"\n\t\"crypto/sha256\"\n\t\"encoding/hex\"\n\t\"errors\"\n\t\"fmt\"\n\t\"io\"\n\t\"net/http\"\n\t\"os\"\n\t\"strconv\"\n\t\"time\"\n)\n\n" + example +
		"\nfunc main() {\n\tr, err := http.ReadRequest(bufio.NewReader(os.Stdin))\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tbody, err := verified(r, os.Args[1])\n\tif err != nil {\n\t\tfmt.Println(err)\n\t\tos.Exit(1)\n\t}\n\tfmt.Printf(\"%s\", body)\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(dir, "verify")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", built, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address, _, raw := webServer(t, http.StatusOK, "")
	hook, err := NewWebhook(release.NewSecret(address), release.NewSecret("k3y"))
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Send(t.Context(), message("a")); err != nil {
		t.Fatal(err)
	}
	verify := func(key string, post []byte) (string, error) {
		command := exec.Command(built, key)
		command.Stdin = bytes.NewReader(post)
		out, err := command.Output()
		return string(out), err
	}
	post := raw()[0]
	if body, err := verify("k3y", post); err != nil || body != string(bodyOf(post)) {
		t.Errorf("a good post: %v %s", err, body)
	}
	if _, err := verify("other", post); err == nil {
		t.Error("another key passes")
	}
	if _, err := verify("k3y", bytes.Replace(post, []byte("web-1"), []byte("web-2"), 1)); err == nil {
		t.Error("another body passes")
	}
	old := fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	head, body, _ := bytes.Cut(post, []byte("\r\n\r\n"))
	var lines []string
	for _, l := range strings.Split(string(head), "\r\n") {
		if strings.HasPrefix(l, TimestampHeader) {
			l = TimestampHeader + ": " + old
		} else if strings.HasPrefix(l, SignatureHeader) {
			l = SignatureHeader + ": " + sign("k3y", old, body)
		}
		lines = append(lines, l)
	}
	if _, err := verify("k3y", []byte(strings.Join(lines, "\r\n")+"\r\n\r\n"+string(body))); err == nil {
		t.Error("a post of an hour ago passes: it could be another's, sent again")
	}
}

func TestNoErrorShowsTheAddress(t *testing.T) {
	quiet, _, _ := webServer(t, http.StatusBadRequest, "no such hook: /T0KEN/x?y=S3CRET by S3CRETPASSWORD")
	host := strings.TrimPrefix(quiet, "http://")
	for _, address := range []string{
		"http://user:S3CRETPASSWORD@" + host + "/T0KEN/x?y=S3CRET", "https://S3CRET.invalid./T0KEN", "http://127.0.0.1:1/T0KEN?y=S3CRET",
	} {
		hook, err := NewWebhook(release.NewSecret(address), release.NewSecret("k3y"))
		if err != nil {
			t.Fatal(err)
		}
		err = hook.Send(t.Context(), message("a"))
		if err == nil {
			t.Fatalf("%s is reached", address)
		}
		for _, secret := range []string{"T0KEN", "S3CRET", "k3y"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows %s: %v", secret, err)
			}
		}
	}
	for _, address := range []string{"hooks.example.com/S3CRET", "ftp://S3CRET", "https://", "https://S3CRET:port/%zz", "\x7fhttps://S3CRET"} {
		if _, err := NewWebhook(release.NewSecret(address), release.Secret{}); err == nil || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere, posted, _ := webServer(t, http.StatusOK, "")
	from := httptest.NewServer(http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect))
	defer from.Close()
	hook, err := NewWebhook(release.NewSecret(from.URL), release.NewSecret("k3y"))
	if err != nil {
		t.Fatal(err)
	}
	err = hook.Send(t.Context(), message("a"))
	if _, final := errors.AsType[*backoff.PermanentError](err); !final || len(posted()) > 0 {
		t.Errorf("%v; posted elsewhere: %d", err, len(posted()))
	}
}

func TestAPostEndsWithItsContext(t *testing.T) {
	answered := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answered }))
	defer server.Close()
	defer close(answered)
	hook, err := NewWebhook(release.NewSecret(server.URL), release.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := hook.Send(ctx, message("a")); err == nil {
		t.Error("it was sent")
	}
}

func TestSlackIsToldWithoutMarkup(t *testing.T) {
	address, _, raw := webServer(t, http.StatusOK, "ok")
	slack, err := NewSlack(release.NewSecret(address))
	if err != nil {
		t.Fatal(err)
	}
	m := message("a")
	m.Summary, m.Details, m.Version, m.Lost = hostile, []string{hostile, strings.Repeat("x", 9000)}, "v2", 3
	if err := slack.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Text   string
		Mrkdwn *bool
		Unfurl *bool `json:"unfurl_links"`
	}
	if err := json.Unmarshal(bodyOf(raw()[0]), &read); err != nil || read.Mrkdwn == nil || *read.Mrkdwn || read.Unfurl == nil || *read.Unfurl {
		t.Fatalf("%v: %s", err, raw()[0])
	}
	if strings.ContainsAny(read.Text, "<>\x1b\r\u202e") || !strings.Contains(read.Text, "&lt;!channel&gt;") || !strings.Contains(read.Text, "&amp;amp;") || len([]rune(read.Text)) > slackLimit {
		t.Errorf("it is\n%s", read.Text)
	}
	m.Details = nil
	if err := slack.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(bodyOf(raw()[1]), &read); err != nil || !strings.HasSuffix(read.Text, "\n• kind drifted, version v2, 2026-01-02T12:00:00Z\n• Messages before this one that did not get through: 3.") {
		t.Errorf("%v: it is\n%s", err, read.Text)
	}
}
