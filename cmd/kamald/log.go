package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/reconcile"
)

// newLogger logs to standard error: for people, or with --json a JSON object a line.
func (p *program) newLogger() zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	level := zerolog.Disabled
	if p.flags.verbose {
		level = zerolog.DebugLevel
	}
	var w io.Writer = p.err
	if !p.flags.json {
		w = zerolog.ConsoleWriter{Out: p.err, NoColor: !p.err.color, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// trace logs every remote call: its host, method, duration and error, and no argument, since those may be secrets.
func trace(log zerolog.Logger) reconcile.Interceptor {
	return func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		began := time.Now()
		err := next(ctx)
		event := log.Debug().Str("host", call.Host).Str("took", time.Since(began).Round(10*time.Microsecond).String())
		if err != nil {
			event = event.Str("error", err.Error())
		}
		event.Msg(call.Method)
		return err
	}
}

// logCounters says at the end what the run has cost.
func logCounters(log zerolog.Logger, calls map[string]map[string]int, opened ssh.Stats) {
	var hosts []string
	for host := range calls {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	for _, host := range hosts {
		var methods []string
		total := 0
		for method, n := range calls[host] {
			methods = append(methods, fmt.Sprintf("%s %d", method, n))
			total += n
		}
		slices.Sort(methods)
		log.Debug().Str("host", host).Int("calls", total).Msg(strings.Join(methods, ", "))
	}
	log.Debug().Int("connections", opened.Connections).Int("unix_channels", opened.UnixChannels).Int("tcp_channels", opened.TCPChannels).
		Int("sftp_channels", opened.SFTPChannels).Int("commands", opened.Sessions).Msg("ssh")
}
