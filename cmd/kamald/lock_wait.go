package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// lockWaitLimit is how long --lock-wait waits when it is given no duration: as long as Kamal does.
const lockWaitLimit = 15 * time.Minute

// lockWaitFlag adds --lock-wait[=DURATION].
func (p *program) lockWaitFlag(f *pflag.FlagSet, wait *bool) {
	flag := f.VarPF(&lockWait{on: wait, limit: &p.lockWait}, "lock-wait", "", "wait for a deploy lock that another holds, at most so long (default 15m)")
	flag.NoOptDefVal = "true"
}

// lockWait is the value of the flag: a duration, or nothing.
type lockWait struct {
	on    *bool
	limit *time.Duration
}

// Set implements pflag.Value.
func (l *lockWait) Set(text string) error {
	if on, err := strconv.ParseBool(text); err == nil {
		*l.on, *l.limit = on, lockWaitLimit
		return nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit <= 0 {
		return errors.New(`give a duration such as 5m, as in --lock-wait=5m`)
	}
	*l.on, *l.limit = true, limit
	return nil
}

// String implements pflag.Value.
func (l *lockWait) String() string {
	if l.on == nil || !*l.on {
		return ""
	}
	return l.limit.String()
}

// Type implements pflag.Value.
func (l *lockWait) Type() string { return "duration" }
