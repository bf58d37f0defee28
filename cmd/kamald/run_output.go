package main

import (
	"crypto/rand"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/drivers/runlog"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// outputs log what the daemon does to servers where each app's file says, as the commands do: a file each time, and a collector.
type outputs struct {
	log zerolog.Logger

	mu    sync.Mutex
	where map[state.App]output
	open  map[state.App][]*deed
	ends  sync.WaitGroup
}

// output is what the output block of an app's file says.
type output struct{ dir, otel string }

// deed is a release, a rollback or a repair that is under way.
type deed struct {
	doing     loop.Activity
	file      *runlog.File      // nil: none
	collector *runlog.Collector // nil: none
}

func newOutputs(log zerolog.Logger) *outputs {
	return &outputs{log: log, where: map[state.App]output{}, open: map[state.App][]*deed{}}
}

// read takes what a proposal says. A directory is relative to the file; where that is in a repository, to fallback.
func (o *outputs) read(desired release.Release, source release.Source, fallback string) {
	beside := source.Path
	if source.Kind == release.SourceGit {
		beside = filepath.Join(fallback, "deploy.hcl")
	}
	where := output{otel: desired.Output.OTel}
	if desired.Output.Dir != "" {
		where.dir = logDirectory(beside, desired.Output.Dir)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.where[desired.App()] = where
}

// take hears what the loop does. It never waits.
func (o *outputs) take(n loop.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	open := o.open[n.App]
	switch {
	case n.Status != nil && n.Status.Doing != nil:
		if where := o.where[n.App]; where != (output{}) && !known(open, *n.Status.Doing) {
			o.open[n.App] = append(o.dropped(open, n.Status.Doing.Kind), begin(where, n.App, *n.Status))
		}
	case n.Progress != nil && logged(*n.Progress) && len(open) > 0:
		open[len(open)-1].write(entryOf(*n.Progress))
	case n.Kind == loop.NoticeEnded && n.Report != nil:
		for i, d := range open {
			if (d.doing.Kind == plan.KindRollback) == (n.Report.Kind == plan.KindRollback) {
				o.open[n.App] = append(open[:i:i], open[i+1:]...)
				o.end(d, *n.Report, n.Err)
				return
			}
		}
	}
}

// close ends what is open, and waits for what is still being sent: for a moment, as a collector may be down.
func (o *outputs) close() {
	o.mu.Lock()
	for _, open := range o.open {
		for _, d := range open {
			o.end(d, reconcile.Report{Kind: plan.KindNone}, nil)
		}
	}
	o.open = map[state.App][]*deed{}
	o.mu.Unlock()
	o.ends.Wait()
}

func known(open []*deed, doing loop.Activity) bool {
	for _, d := range open {
		if d.doing.Kind == doing.Kind && d.doing.Since.Equal(doing.Since) {
			return true
		}
	}
	return false
}

// dropped leaves out what has begun before and of which nothing was carried out: nobody tells of its end. A rollback runs beside others.
func (o *outputs) dropped(open []*deed, next plan.Kind) (rest []*deed) {
	for _, d := range open {
		if (d.doing.Kind == plan.KindRollback) != (next == plan.KindRollback) {
			rest = append(rest, d)
			continue
		}
		o.end(d, reconcile.Report{Kind: plan.KindNone}, nil)
	}
	return rest
}

// begin opens the logs of what begins.
func begin(where output, app state.App, status loop.Status) *deed {
	d := &deed{doing: *status.Doing}
	run := runlog.Run{ID: rand.Text()[:16], Command: string(d.doing.Kind), Service: app.Service, Destination: app.Destination, Version: d.doing.Version,
		Performer: d.doing.Who, Kamald: version, Began: d.doing.Since}
	if where.dir != "" {
		d.file = runlog.NewFile(where.dir, run)
	}
	if where.otel != "" {
		d.collector = runlog.NewCollector(where.otel, run)
	}
	return d
}

func (d *deed) write(entry runlog.Entry) {
	if d.file != nil {
		d.file.Write(entry)
	}
	if d.collector != nil {
		d.collector.Write(entry)
	}
}

// end closes the logs beside whatever comes next. One that could not be written is said, and fails nothing.
func (o *outputs) end(d *deed, report reconcile.Report, err error) {
	ending := endingOf(report, err)
	ending.At = time.Now()
	o.ends.Go(func() {
		if d.file != nil {
			if _, failed := d.file.End(ending); failed != nil {
				o.log.Warn().Err(failed).Msg("the log file")
			}
		}
		if d.collector != nil {
			if failed := d.collector.End(ending); failed != nil {
				o.log.Warn().Err(failed).Msg("the collector")
			}
		}
	})
}
