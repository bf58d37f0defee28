package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestExecGivesTheCodeAndBothStreamsApart(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage}, nil)
	if err := e.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	got, err := e.Exec(ctx, id, []string{"/app", "speak"})
	if err != nil || got != (state.ExecResult{Code: 7, Stdout: "out", Stderr: "err"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = e.Exec(ctx, id, []string{"/app", "long"})
	if err != nil || len(got.Stdout) != execLimit || got.Code != 0 {
		t.Errorf("of 3 MiB came %d bytes, code %d, %v", len(got.Stdout), got.Code, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	given := errors.New("given up")
	time.AfterFunc(50*time.Millisecond, func() { cancel(given) })
	if _, err = e.Exec(ctx, id, []string{"/app", "wait"}); err == nil {
		t.Error("a command that never ends was waited for after its context had ended")
	}
}

func TestLogsAreTheLastLinesOfBothStreams(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage, Cmd: []string{"/app", "lines", "50"}}, nil)
	if err := e.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	first := ended(t, e, id)
	all, err := e.Logs(ctx, id, 100, time.Time{})
	if err != nil || len(all) != 51 || !slices.Contains(all, "complaint") || !slices.Contains(all, "line 0") {
		t.Errorf("got %q, %v", all, err)
	}
	if last, err := e.Logs(ctx, id, 3, time.Time{}); err != nil || !slices.Equal(last, all[48:]) {
		t.Errorf("of %q the last are %q, %v", all, last, err)
	}
	time.Sleep(100 * time.Millisecond) // a line is dated when the engine reads it, somewhat after the end
	between := first.Finished.Add(50 * time.Millisecond)
	if err := e.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	ended(t, e, id)
	if second, err := e.Logs(ctx, id, 200, between); err != nil || len(second) != 51 {
		t.Errorf("of the second run come %d lines, %v", len(second), err)
	}
}

func TestAContainerThatFailsSaysItsExitCode(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage, Cmd: []string{"/app", "exit", "3"}}, nil)
	if err := e.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, e, id); got.ExitCode != 3 || got.Finished.IsZero() {
		t.Errorf("got %+v", got)
	}
}

// ended asks until the container has ended.
func ended(t *testing.T, e *Engine, id string) state.Container {
	t.Helper()
	for {
		got, err := e.Inspect(t.Context(), id, state.View{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Status == state.StatusExited {
			return got
		}
	}
}

func TestAFileIsReadOutOfAContainerThatDoesNotRun(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage}, nil)
	got, err := e.ReadFile(t.Context(), id, "/etc/greeting")
	if err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := e.ReadFile(t.Context(), id, "/app"); err != nil || len(got) < 1<<20 {
		t.Errorf("of the program came %d bytes, %v", len(got), err)
	}
}

func TestFilesAreUploadedIntoAContainerAndReplaceThoseThatAreThere(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage}, nil)
	upload := func(dir, text string) error {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := w.WriteHeader(&tar.Header{Name: "greeting", Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return e.Upload(t.Context(), id, dir, &archive)
	}
	for _, text := range []string{"one", "another"} {
		if err := upload("/etc", text); err != nil {
			t.Fatal(err)
		}
		if got, err := e.ReadFile(t.Context(), id, "/etc/greeting"); err != nil || string(got) != text {
			t.Errorf("got %q, %v; want %q", got, err, text)
		}
	}
	if err := upload("/no/such/directory", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a directory that is not there: %v", err)
	}
	if err := e.Upload(t.Context(), "kamald-test-none", "/", strings.NewReader("")); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("into a container that is not there: %v", err)
	}
}

func TestAPathInsideAContainerIsFoundOnItsDeepestMount(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	outer, inner := t.TempDir(), t.TempDir()
	id := made(t, e, uniqueName(), state.Spec{Image: testImage, Volumes: []string{outer + ":/data", inner + ":/data/deep"}}, nil)
	for inside, want := range map[string]string{"/data/x": outer + "/x", "/data/deep/a/b": inner + "/a/b", "/data/deeper": outer + "/deeper"} {
		if got, err := e.HostPath(t.Context(), id, inside); err != nil || got != want {
			t.Errorf("%s is at %q, %v; want %q", inside, got, err, want)
		}
	}
	if got, err := e.HostPath(t.Context(), id, "/database"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path on no mount is at %q, %v", got, err)
	}
}

func TestAnImageIsInspectedTaggedListedSavedAndRemoved(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	m, err := e.Image(ctx, testImage)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(m.ID, "sha256:") || m.Env["IMAGE_OWN"] != "from the image" || m.StopSignal != testSignal || m.Healthcheck ||
		!slices.Equal(m.Cmd, []string{"/app", "wait"}) || !slices.Equal(m.Ports, []int{8080}) || !m.Inspected || m.Labels["maker"] == "" {
		t.Errorf("inspected: %+v", m)
	}
	second := "kamald-test/app:" + uniqueName()
	if err := e.Tag(ctx, m.ID, second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.RemoveImage(context.Background(), second) })
	listed, err := e.Images(ctx, "kamald-test/app")
	if err != nil || len(listed) != 1 || listed[0].ID != m.ID || !slices.Contains(listed[0].Tags, second) || !slices.Contains(listed[0].Tags, testImage) {
		t.Errorf("listed: %+v, %v", listed, err)
	}
	archive, err := e.Save(ctx, second)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for r := tar.NewReader(archive); ; names++ {
		if _, err := r.Next(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("the saved archive: %v", err)
			}
			break
		}
	}
	if err := archive.Close(); err != nil || names == 0 {
		t.Errorf("the saved archive has %d files, %v", names, err)
	}
	if err := errors.Join(e.RemoveImage(ctx, second), e.RemoveImage(ctx, second)); err != nil {
		t.Error(err)
	}
	if again, err := e.Image(ctx, testImage); err != nil || slices.Contains(again.Tags, second) {
		t.Errorf("after taking one tag away: %+v, %v", again, err)
	}
}

func TestAnErrorInAProgressStreamIsFound(t *testing.T) {
	e := realEngine(t)
	err := e.Load(t.Context(), bytes.NewReader([]byte("no archive at all")))
	if err == nil {
		t.Error("what is no archive was loaded")
	}
	err = progress(strings.NewReader(`{"status":"Pulling"}{"errorDetail":{"message":"unauthorized: authentication required"},"error":"x"}`), nil)
	if !errors.Is(e.failure(err, "pull"), state.ErrDenied) {
		t.Errorf("got %v", err)
	}
}

func TestARegistryThatIsNotThereIsAnErrorOfThePull(t *testing.T) {
	e := realEngine(t)
	secret := release.NewSecret("canary-5a5a")
	auth := release.Auth{Server: "127.0.0.1:1", Username: "deploy", Password: secret}
	_, resolve := e.Manifest(t.Context(), "127.0.0.1:1/kamald-test/none:v1", auth)
	pull := e.Pull(t.Context(), "127.0.0.1:1/kamald-test/none:v1", "", auth)
	for _, err := range []error{resolve, pull} {
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1/kamald-test/none:v1") || strings.Contains(err.Error(), secret.Reveal()) {
			t.Errorf("got %v", err)
		}
	}
}

func TestACallEndsWithItsContextOnAConnectionThatNeverAnswers(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	e := New(func(context.Context, string, string) (net.Conn, error) { return noDeadlines{here}, nil }, Options{Host: "web-1"})
	go io.Copy(io.Discard, there)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := e.Containers(ctx, state.Filter{})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// noDeadlines is a connection as SSH channels are.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (noDeadlines) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (noDeadlines) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
