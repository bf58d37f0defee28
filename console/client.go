package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// answerBytes is the most that a daemon's answer may have.
const answerBytes = 64 << 20

// Client asks a daemon, by its socket or over HTTP. It is safe for concurrent use.
type Client struct {
	base   string
	where  string // for messages
	token  release.Secret
	client *http.Client
}

// Error is what a daemon answered that it does not do.
type Error struct {
	Status int    // of HTTP
	Words  string // the daemon's
	Advice string // what to do about it; "" when it says nothing
}

// Error is the daemon's words.
func (e *Error) Error() string {
	if e.Advice == "" {
		return e.Words
	}
	return e.Words + "; " + e.Advice
}

// Next is what to do about it.
func (e *Error) Next() string { return e.Advice }

// NewClient asks a daemon at its socket (a path), or at a URL with a token. In clear text a token goes to this machine only.
func NewClient(address string, token release.Secret) (*Client, error) {
	transport := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second}
	c := &Client{base: "http://kamald.localhost", where: address, token: token, client: &http.Client{
		Transport: transport,
		// A daemon sends nobody elsewhere: whatever does is none, and gets no token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !strings.Contains(address, "://") {
		c.token = release.Secret{} // the kernel says who asks
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", address)
		}
		return c, nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Host == "", u.User != nil: // what is wrong with it is not said: a token may have been put into it
		return nil, errors.New("the daemon's address is no URL such as https://bastion.example.com:8443; the token does not belong in it")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("the daemon is asked by https:// or http://, and not by %s://", u.Scheme)
	case u.Scheme == "http" && !here(u.Hostname()):
		return nil, errors.New("a token is not sent in clear text to another machine: use https://, or an SSH port forward to the daemon's loopback listener")
	}
	transport.DialContext = dialer.DialContext
	c.base, c.where = u.Scheme+"://"+u.Host, u.Scheme+"://"+u.Host
	return c, nil
}

func here(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Apps gives every app that may be seen.
func (c *Client) Apps(ctx context.Context) ([]App, error) {
	var got AppsAnswer
	err := c.do(ctx, http.MethodGet, "/v1/apps", nil, &got)
	return got.Apps, err
}

// Status gives one app.
func (c *Client) Status(ctx context.Context, app state.App) (loop.Status, error) {
	var got AppAnswer
	err := c.do(ctx, http.MethodGet, pathIn(app, ""), nil, &got)
	return got.App.Status, err
}

// Order hands an order over. Who gives it is found out by the daemon.
func (c *Client) Order(ctx context.Context, order loop.Order) (loop.Ticket, error) {
	var got TicketAnswer
	var err error
	switch {
	case order.Verb == loop.VerbRollback:
		err = c.do(ctx, http.MethodPost, pathIn(order.App, "/rollback"), RollbackBody{Version: order.Version, Number: order.Number, SkipHooks: order.SkipHooks}, &got)
	case order.Release != nil:
		err = c.do(ctx, http.MethodPost, pathIn(order.App, "/apply"), ApplyBody{Release: *order.Release, Retry: order.Retry, SkipHooks: order.SkipHooks}, &got)
	default:
		err = c.do(ctx, http.MethodPost, pathIn(order.App, "/release"), ReleaseBody{Version: order.Version, Retry: order.Retry, SkipHooks: order.SkipHooks}, &got)
	}
	return got.Ticket, err
}

// Approve lets what waits go on.
func (c *Client) Approve(ctx context.Context, app state.App, word string) (loop.Status, error) {
	return c.change(ctx, app, "/approve", ApproveBody{Word: word})
}

// Pause keeps the daemon from touching a part of an app. Who and when are found out by the daemon.
func (c *Client) Pause(ctx context.Context, app state.App, pause state.Pause) (loop.Status, error) {
	return c.change(ctx, app, "/pause", PauseBody{Host: pause.Host, Role: pause.Role, Reason: pause.Reason, Until: pause.Until})
}

// Unpause ends the pauses of exactly that part.
func (c *Client) Unpause(ctx context.Context, app state.App, host, role string) (loop.Status, error) {
	return c.change(ctx, app, "/unpause", UnpauseBody{Host: host, Role: role})
}

// Resume lifts a hold.
func (c *Client) Resume(ctx context.Context, app state.App) (loop.Status, error) {
	return c.change(ctx, app, "/resume", EmptyBody{})
}

// Look has the app looked at now.
func (c *Client) Look(ctx context.Context, app state.App) (loop.Status, error) {
	return c.change(ctx, app, "/look", EmptyBody{})
}

// Logs gives a container's last lines.
func (c *Client) Logs(ctx context.Context, app state.App, host, container string, lines int) ([]string, error) {
	var got LogsAnswer
	query := url.Values{"host": {host}, "container": {container}, "lines": {strconv.Itoa(lines)}}
	err := c.do(ctx, http.MethodGet, pathIn(app, "/logs?"+query.Encode()), nil, &got)
	return got.Lines, err
}

// Close ends the connections that are kept.
func (c *Client) Close() { c.client.CloseIdleConnections() }

func (c *Client) change(ctx context.Context, app state.App, path string, body any) (loop.Status, error) {
	var got AppAnswer
	err := c.do(ctx, http.MethodPost, pathIn(app, path), body, &got)
	return got.App.Status, err
}

func pathIn(app state.App, rest string) string { return "/v1/apps/" + NameOf(app) + rest }

func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(io.LimitReader(answer.Body, answerBytes)).Decode(into); err != nil {
		return fmt.Errorf("the daemon at %s: its answer cannot be read: %w", c.where, err)
	}
	return nil
}

// send gives an answer that is a success, or the daemon's words as an error. A token goes into a header and nowhere else, so that no
// error has it.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var from io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		from = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, from)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token := c.token.Reveal(); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := c.client.Do(request)
	if err != nil {
		var where *url.Error // its text repeats the method and a host that is not there
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, fmt.Errorf("the daemon at %s cannot be asked: %w", c.where, err)
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	var why Failure
	if err := json.NewDecoder(io.LimitReader(answer.Body, answerBytes)).Decode(&why); err != nil || why.Error == "" {
		return nil, fmt.Errorf("what answers at %s is no kamald: %s", c.where, answer.Status)
	}
	return nil, &Error{Status: answer.StatusCode, Words: why.Error, Advice: why.Next}
}
