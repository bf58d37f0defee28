// Command proxyload measures kamald-proxy beside nginx and caddy, and beside the application asked directly, in one run and in
// turns. What counts are the ratios: the figures are those of the machine at hand, which load, proxy and application share.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are what a run was asked for.
type settings struct {
	rounds     int
	length     time.Duration
	cores      int
	binary     string
	contenders []string
	conns      []int
	only       string
	write      bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == appCommand {
		fmt.Fprintln(os.Stderr, "proxyload:", serveApp(os.Args[2]))
		os.Exit(1)
	}
	s := settings{}
	var contenders, conns string
	flag.IntVar(&s.rounds, "n", 5, "rounds; medians are taken over them")
	flag.DurationVar(&s.length, "length", 3*time.Second, "how long each measurement takes")
	flag.IntVar(&s.cores, "cores", 0, "processors that each proxy may use; 0 is all")
	flag.StringVar(&s.binary, "proxy", "", "kamald-proxy's program; built when empty")
	flag.StringVar(&contenders, "contenders", "bare,kamald-proxy,nginx,caddy", "who takes part")
	flag.StringVar(&conns, "conns", "1,16,128", "numbers of connections")
	flag.StringVar(&s.only, "only", "", "measure one part: load or memory")
	flag.BoolVar(&s.write, "write", false, "put the report into "+performancePage+", for a whole run")
	flag.Parse()
	s.contenders = strings.Split(contenders, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := s.readConns(conns)
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxyload:", err)
		stop()
		os.Exit(1)
	}
}

func (s *settings) readConns(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-conns: %q is no number of connections; give a list such as 1,16,128", text)
		}
		s.conns = append(s.conns, n)
	}
	if s.rounds < 1 || s.length < 10*time.Millisecond {
		return fmt.Errorf("-n %d, -length %s: at least one round and 10ms are needed", s.rounds, s.length)
	}
	if s.write && s.only != "" {
		return errors.New("-write is for a whole run, without -only")
	}
	return nil
}

func run(ctx context.Context, s settings) (err error) {
	b, err := newBench(ctx, s)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Fprintln(b.out, machine(b))
	if s.only != "memory" {
		if err := b.measureLoad(ctx); err != nil {
			return err
		}
	}
	if s.only != "load" {
		if err := b.measureMemory(ctx); err != nil {
			return err
		}
	}
	if s.write {
		return writePage(performancePage, b.report.String())
	}
	return nil
}
