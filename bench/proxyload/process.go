package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that this one has started, with what it has started itself.
type process struct {
	name   string
	cmd    *exec.Cmd
	output string // file
	ended  chan struct{}
}

// begin starts a program with its output in a file.
func (b *bench) begin(name string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, output: filepath.Join(b.dir, name+".out"), ended: make(chan struct{})}
	out, err := os.Create(p.output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(b.settings.cores))
	if name == "application" {
		p.cmd.Env = os.Environ()
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// answers waits until a TCP connection to the address is taken.
func (p *process) answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", p.name, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %s", p.name, address, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// said is the end of the program's output.
func (p *process) said() string {
	text, _ := os.ReadFile(p.output)
	return strings.TrimSpace(string(text[max(0, len(text)-1000):]))
}

// end tells the program to end, and after some seconds makes it.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(12 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what it has started, should that go on
	<-p.ended
}

// peak is the most memory in bytes that the program, and all it has started, had in RAM so far: the sum of each one's own peak.
func (p *process) peak() int64 {
	var sum int64
	for _, pid := range family(p.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			var kib int64
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
				sum += kib << 10
			}
		}
	}
	return sum
}

// spent is the processor time that the program, and all it has started, has had so far.
func (p *process) spent() time.Duration {
	var ticks int64
	for _, pid := range family(p.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // what follows the program's name
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			continue
		}
		for _, field := range fields[11:13] { // utime, stime
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// family is a process and its descendants.
func family(pid int) []int {
	all := []int{pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(all, family(n)...)
			}
		}
	}
	return all
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
