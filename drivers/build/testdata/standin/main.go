// The stand-in is docker and pack for the tests of the builder: it writes down how it is called, and answers from a table.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// call is what the test reads.
type call struct {
	Argv   []string
	Env    []string
	Config string // config.json of DOCKER_CONFIG
	Mode   string // of that directory
	Links  []string
	Stdin  string
}

// reply is an answer to what begins with Begins; the first that fits counts.
type reply struct {
	Begins   string
	Out, Err string
	Code     int
	Metadata string
	Hang     bool // until it is interrupted, with a child that is in the same group
	Once     bool
	Writes   string // a file that somebody changes meanwhile
}

func main() {
	dir := os.Getenv("BUILD_STANDIN")
	argv := append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...)
	record(dir, argv)
	var replies []reply
	data, err := os.ReadFile(filepath.Join(dir, "replies.json"))
	if err == nil {
		err = json.Unmarshal(data, &replies)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stand-in:", err)
		os.Exit(99)
	}
	for i, r := range replies {
		used := filepath.Join(dir, fmt.Sprintf("used-%d", i))
		if !strings.HasPrefix(strings.Join(argv, " "), r.Begins) {
			continue
		}
		if _, err := os.Stat(used); err == nil && r.Once {
			continue
		}
		must(os.WriteFile(used, nil, 0o600))
		answer(dir, argv, r)
	}
	fmt.Fprintln(os.Stderr, "stand-in: no answer to", strings.Join(argv, " "))
	os.Exit(98)
}

func record(dir string, argv []string) {
	c := call{Argv: argv, Env: os.Environ()}
	if config := os.Getenv("DOCKER_CONFIG"); config != "" {
		data, _ := os.ReadFile(filepath.Join(config, "config.json")) // none is a finding too
		c.Config = string(data)
		if info, err := os.Stat(config); err == nil {
			c.Mode = info.Mode().String()
		}
		entries, _ := os.ReadDir(config)
		for _, entry := range entries {
			c.Links = append(c.Links, entry.Name())
		}
	}
	stdin, _ := io.ReadAll(os.Stdin)
	c.Stdin = string(stdin)
	line, err := json.Marshal(c)
	must(err)
	file, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(err)
	_, err = fmt.Fprintf(file, "%s\n", line)
	must(err)
	must(file.Close())
}

func answer(dir string, argv []string, r reply) {
	fmt.Fprint(os.Stdout, r.Out)
	fmt.Fprint(os.Stderr, r.Err)
	if i := slices.Index(argv, "--metadata-file"); i >= 0 && r.Metadata != "" {
		must(os.WriteFile(argv[i+1], []byte(r.Metadata), 0o600))
	}
	if r.Writes != "" {
		must(os.WriteFile(r.Writes, []byte("changed\n"), 0o600))
	}
	if r.Hang {
		child := exec.Command("sleep", "600")
		must(child.Start())
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt)
		must(os.WriteFile(filepath.Join(dir, "hanging"), fmt.Appendf(nil, "%d", child.Process.Pid), 0o600))
		select {
		case <-signals:
			must(os.WriteFile(filepath.Join(dir, "interrupted"), []byte("by a signal"), 0o600))
		case <-time.After(time.Minute):
		}
		fmt.Fprintln(os.Stderr, "interrupted")
		os.Exit(130)
	}
	os.Exit(r.Code)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stand-in:", err)
		os.Exit(97)
	}
}
