package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is a kamald that runs while the test does something to it or to the servers.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd

	mu     sync.Mutex
	stdout bytes.Buffer
	stderr bytes.Buffer
	more   chan struct{} // closed and made anew whenever it has said more
	began  time.Time
	ended  chan struct{}
	told   sync.Once
}

// begin starts kamald. It is ended with the test, whatever becomes of it.
func (f *fixture) begin(args ...string) *process {
	f.t.Helper()
	return f.beginOf(func(ctx context.Context) *exec.Cmd { return f.command(ctx, args...) }, strings.Join(args, " "))
}

// beginOf starts a kamald by a command of the test's own.
func (f *fixture) beginOf(command func(context.Context) *exec.Cmd, name string) *process {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(count(5, 30))*time.Minute) // the test's own ends before its clean-up
	p := &process{t: f.t, name: name, cmd: command(ctx), more: make(chan struct{}), ended: make(chan struct{}), began: time.Now()}
	p.cmd.Stdout, p.cmd.Stderr = &spoken{p, &p.stdout}, &spoken{p, &p.stderr}
	if err := p.cmd.Start(); err != nil {
		cancel()
		f.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // its exit code is what counts
		close(p.ended)
	}()
	f.t.Cleanup(func() { cancel(); p.wait() })
	return p
}

// spoken is one of a process's two streams.
type spoken struct {
	p  *process
	to *bytes.Buffer
}

// Write implements io.Writer.
func (s *spoken) Write(data []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	close(s.p.more)
	s.p.more = make(chan struct{})
	return s.to.Write(data)
}

// hears returns when the text has been said so many times; it fails the test when that does not come, or
// cannot come any more.
func (p *process) hears(text string, times int) {
	p.t.Helper()
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	for last := false; ; {
		p.mu.Lock()
		said, more := p.stderr.String(), p.more
		p.mu.Unlock()
		if strings.Count(said, text) >= times {
			return
		}
		if last {
			p.t.Fatalf("kamald %s has ended and never said %q", p.name, text)
		}
		select {
		case <-more:
		case <-p.ended:
			last = true
		case <-limit.C:
			p.t.Fatalf("kamald %s never said %q:\n%s", p.name, text, said)
		}
	}
}

// signal sends it a signal; one that has ended gets none.
func (p *process) signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // it has ended: what it did is what counts
}

// wait gives how it ended.
func (p *process) wait() result {
	<-p.ended
	r := result{code: p.cmd.ProcessState.ExitCode(), stdout: p.stdout.String(), stderr: p.stderr.String(), took: time.Since(p.began)}
	p.told.Do(func() {
		p.t.Logf("kamald %s: exit %d in %s\n%s%s", p.name, r.code, r.took.Round(time.Millisecond), r.stdout, r.stderr)
	})
	return r
}
