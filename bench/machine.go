package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine says on what the figures were taken, and how busy it is.
func machine() string {
	memory := "?"
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
			memory = fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
		}
	}
	return fmt.Sprintf("machine: %s/%s, %d CPUs, %s of memory, load %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), memory, load())
}

// load is the machine's load average over one minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
