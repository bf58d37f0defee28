package console

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserTime is how long one test may take in a browser. It bounds a hang, and is no measure.
const browserTime = 60 * time.Second

// chromium finds a browser, or leaves the test out where nothing may be missed by it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no chromium on this machine, and CI lets no test be left out")
	}
	t.Skip("NOT RUN: there is no chromium on this machine")
	return ""
}

// allocator starts one browser for all tests.
var allocator = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(browserTime),
		chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1"))
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			options = append(options, chromedp.ExecPath(path))
			break
		}
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	root, _ := chromedp.NewContext(ctx)
	stopBrowser = func() { _ = chromedp.Cancel(root); stop() }
	return root, chromedp.Do(root)
})

var stopBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// tab is a page in a browser of its own cookies.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	problems []string // exceptions, and what the policy has blocked
}

// served serves the fixture for browsers, and gives its address under localhost.
func (f *fixture) served() string {
	f.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = f.HTTP(ViaLoopback)
	server.Start()
	f.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func newTab(t *testing.T, base string) *tab {
	t.Helper()
	chromium(t)
	root, err := allocator()
	if err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	ctx, cancel := chromedp.NewContext(root, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // what runs first binds the tab to its context: one without a limit
		t.Fatal(err)
	}
	b := &tab{t: t, base: base}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	var stop context.CancelFunc
	b.ctx, stop = context.WithTimeout(ctx, browserTime)
	t.Cleanup(stop)
	command(b, log.Enable, cdp.Empty{})
	b.run(chromedp.EmulateViewport(1280, 900))
	return b
}

// hear notes what the browser complains of.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		switch e.Entry.Source {
		case log.EntrySourceSecurity, log.EntrySourceJavascript, log.EntrySourceRendering:
			b.problems = append(b.problems, e.Entry.Text)
		}
	}
}

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("in the browser: %v\n%s", err, b.text())
	}
}

// command gives the browser a command of its protocol.
func command[P, R any](b *tab, what cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, what, params)
	if err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
	return result
}

func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 2*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? location.href + "\n" + document.body.innerText : ""`)) // only for a message
	return text
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base + path))
}

func (b *tab) login(name string) {
	b.t.Helper()
	b.open("/login")
	b.run(chromedp.SendKeys("#token", shown[name]), chromedp.Submit("#token"), chromedp.WaitVisible("#filter"))
}

// click follows what has the text, and waits for the page that it leads to.
func (b *tab) click(text string) {
	b.t.Helper()
	xpath := fmt.Sprintf(`//main//*[self::a or self::button][starts-with(normalize-space(.), %q)]`, text)
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(xpath)); err != nil {
		b.t.Fatalf("click %q: %v\n%s", text, err, b.text())
	}
}

// eval gives what a script comes to.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("in the browser: %v\n%s", err, b.text())
	}
	return value
}

// until waits for a script to be true.
func (b *tab) until(script string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](script, chromedp.WithPollingInterval(20*time.Millisecond))); err != nil {
		b.t.Fatalf("%s: %v\n%s", script, err, b.text())
	}
}

func (b *tab) has(text string) bool {
	b.t.Helper()
	return eval[bool](b, fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, text))
}

// look sets the width and the colours.
func (b *tab) look(width int64, scheme string) {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(width, 900))
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// shoot writes what is seen, where somebody wants to see it: KAMALD_SHOTS names a directory.
func (b *tab) shoot(name string) {
	dir := os.Getenv("KAMALD_SHOTS")
	if dir == "" {
		return
	}
	height := eval[int64](b, `document.documentElement.scrollHeight`)
	width := eval[int64](b, `innerWidth`)
	b.run(chromedp.EmulateViewport(width, max(height, 500)))
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// fine fails the test for what the browser complained of.
func (b *tab) fine() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		b.t.Errorf("the browser complains: %s", problem)
	}
	b.problems = nil
}
