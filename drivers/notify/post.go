package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
)

// post sends bodies to one URL, which may be a secret as a whole.
type post struct {
	url    release.Secret
	client *http.Client
}

func newPost(address release.Secret) (post, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" { // the error of Parse has the address in it
		return post{}, errors.New("url is no address of the form https://HOST/PATH")
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the address is a secret of one host
	return post{url: address, client: &http.Client{CheckRedirect: stay}}, nil
}

// send posts JSON. What the receiver will not take, now or later, is permanent.
func (p post) send(ctx context.Context, body []byte, header http.Header) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(errors.New("url is no address"))
	}
	if header != nil {
		request.Header = header
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "kamald")
	response, err := p.client.Do(request)
	if err != nil {
		return p.conceal(err)
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // what comes after it is of no use
	return p.outcome(response, string(said))
}

func (p post) outcome(response *http.Response, said string) error {
	code := response.StatusCode
	if code/100 == 2 {
		return nil
	}
	text := fmt.Sprintf("the receiver answered %d %s", code, http.StatusText(code))
	if said = most(line(said), 200); said != "" {
		text += ": " + said
	}
	err := p.conceal(errors.New(text))
	switch {
	case code/100 == 3:
		return backoff.Permanent(fmt.Errorf("%w; it is somewhere else now: give that address", err))
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return backoff.Permanent(err)
	}
	if after, ok := retryAfter(response.Header.Get("Retry-After"), time.Now()); ok {
		return errors.Join(err, &backoff.RetryAfterError{Duration: after})
	}
	return err
}

// retryAfter reads seconds, or a date.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 && seconds <= int(retryFor/time.Second) {
		return time.Duration(seconds) * time.Second, true
	} else if err == nil && seconds > 0 {
		return retryFor, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// conceal takes the address out of an error; net/http puts it into its own.
func (p post) conceal(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	text := err.Error()
	u, parsed := url.Parse(p.url.Reveal())
	if parsed != nil {
		return errors.New("the receiver cannot be asked")
	}
	secrets := []string{p.url.Reveal(), u.RequestURI(), u.EscapedPath(), u.Path, u.Hostname()}
	if password, has := u.User.Password(); has {
		secrets = append(secrets, password)
	}
	for _, secret := range secrets {
		if len(secret) > 1 { // "/" says nothing
			text = strings.ReplaceAll(text, secret, release.NewSecret(secret).String())
		}
	}
	return errors.New(text)
}
