package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kamald/kamald/lab"
)

const (
	uploadSize  = 256 << 10
	uploadParts = 8
	messages    = 10 // that a websocket session sends, one every messageWait
	messageWait = 100 * time.Millisecond
)

// traffic is load of every kind: kept and new connections and slow requests as load has them, uploads that take their time, and
// websockets. A websocket session lasts a second, which is less than any drain here: one that is cut has failed.
type traffic struct {
	*load
	uploads, sessions int
}

// startTraffic asks each host rate times a second, uploads to it and talks to it by two websockets, for at most limit.
func startTraffic(t *testing.T, rate int, limit time.Duration, hosts ...*lab.Host) *traffic {
	t.Helper()
	l := startLoad(t, rate, limit, hosts...)
	tr := &traffic{load: l}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	stop := l.stop
	l.stop = func() { stop(); cancel() }
	t.Cleanup(cancel)
	for _, h := range hosts {
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.upload(client, h)
				l.count(&tr.uploads)
			}
		})
		for range 2 {
			l.done.Go(func() {
				for ctx.Err() == nil {
					l.talk(h)
					l.count(&tr.sessions)
				}
			})
		}
	}
	return tr
}

func (l *load) count(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

// end stops all of it and wants nothing to have failed, and every kind to have been there.
func (tr *traffic) end(t *testing.T) {
	t.Helper()
	tr.load.end(t)
	t.Logf("among them %d uploads and %d websocket sessions", tr.uploads, tr.sessions)
	if tr.uploads == 0 || tr.sessions == 0 {
		t.Error("there were no uploads, or no websockets")
	}
}

// upload sends a body in parts, with pauses.
func (l *load) upload(client *http.Client, h *lab.Host) {
	l.asked.Add(1)
	in, out := io.Pipe()
	go func() {
		part := strings.Repeat("x", uploadSize/uploadParts)
		for range uploadParts {
			if _, err := io.WriteString(out, part); err != nil {
				return
			}
			time.Sleep(25 * time.Millisecond)
		}
		_ = out.Close()
	}()
	request, err := http.NewRequest(http.MethodPost, "http://"+h.Address+"/upload", in)
	if err != nil {
		l.fail(err.Error())
		return
	}
	request.ContentLength = uploadSize
	response, err := client.Do(request)
	if err != nil {
		l.fail("upload: " + err.Error())
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if want := fmt.Sprintf("%d bytes\n", uploadSize); err != nil || response.StatusCode != http.StatusOK || string(body) != want {
		l.fail(fmt.Sprintf("upload: %d %.100q %v", response.StatusCode, body, err))
	}
}

// talk is one session of a websocket, from the hello to the goodbye.
func (l *load) talk(h *lab.Host) {
	l.asked.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+h.Address+"/ws", nil)
	if err != nil {
		l.fail("websocket: " + err.Error())
		return
	}
	defer ws.CloseNow()
	for n := range messages {
		text := fmt.Sprintf("message %d", n)
		if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			l.fail(fmt.Sprintf("websocket, message %d: %v", n, err))
			return
		}
		if _, got, err := ws.Read(ctx); err != nil || string(got) != text {
			l.fail(fmt.Sprintf("websocket, answer %d: %q %v", n, got, err))
			return
		}
		time.Sleep(messageWait)
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		l.fail("websocket, goodbye: " + err.Error())
	}
}
