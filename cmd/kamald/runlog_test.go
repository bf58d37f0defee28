package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/runlog"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// A log file may be read by many, and a collector is somewhere else.
func TestALogHasNothingThatTheApplicationSaid(t *testing.T) {
	var said bytes.Buffer
	dir := t.TempDir()
	logs := &runLogs{program: newProgram(&said, &said), file: runlog.NewFile(dir, runlog.Run{Command: "apply", Service: "shop"})}
	unhealthy := &reconcile.UnhealthyError{Host: "web-1", Container: "shop-web-v2", Cause: "it ended: exit code 3", Said: "canary", Logs: []string{"DATABASE_URL=canary"}}
	failure := fmt.Errorf("prove: %w", unhealthy)
	logs.write(reconcile.Progress{Kind: "failed", Host: "web-1", Message: failure.Error(), Err: failure})
	logs.end(reconcile.Report{Outcome: state.OutcomeFailed}, errors.Join(errors.New("web-2 is gone"), failure))
	files, _ := filepath.Glob(dir + "/*")
	if len(files) != 1 {
		t.Fatalf("the log files are %v", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || strings.Contains(string(text), "canary") || strings.Count(string(text), "exit code 3") != 2 || !strings.Contains(string(text), "web-2 is gone") {
		t.Errorf("%v in\n%s", err, text)
	}
}

func TestALogDirectoryIsRelativeToTheFileOrTheHome(t *testing.T) {
	t.Setenv("HOME", "/home/ops")
	for dir, want := range map[string]string{"log": "shop/log", "/var/log/shop": "/var/log/shop", "~/log": "/home/ops/log", "~log": "shop/~log"} {
		if got := logDirectory("shop/deploy.hcl", dir); got != want {
			t.Errorf("%s is %s, want %s", dir, got, want)
		}
	}
}
