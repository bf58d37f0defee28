package proxy

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

const (
	// freezeLimit is how long an upgrade waits for commands that run, such as a deploy that waits for its target.
	freezeLimit = 30 * time.Second
	// maxOlder is how many old workers may still finish requests when another upgrade begins.
	maxOlder = 8
	// overdue is how long beyond its drain an old worker may take to end.
	overdue = 10 * time.Second
)

// followRequest is what the worker in charge waits for: that the old ones do what the state says.
type followRequest struct {
	by      *process
	id      int64 // by its own count
	waiting []*process
}

func (s *supervisor) askUpgrade(p *process, req upgradeRequest) {
	refuse := func(text string) { _ = p.link.send(message{Kind: sayResult, Error: text}) }
	switch {
	case p != s.current:
		refuse("another program is in charge since a moment ago; look at the version and try again")
	case s.asked != nil || s.next != nil:
		refuse("another upgrade is under way")
	case len(s.older) >= maxOlder:
		refuse(fmt.Sprintf("%d programs from upgrades before still finish requests; wait for them, or use a shorter --drain-timeout", len(s.older)))
	default:
		s.asked, s.request = p, req
	}
}

// carryOut makes the upgrade that was asked for, tells the worker who asked, and then puts the new program in the place of
// this one, too.
func (s *supervisor) carryOut() {
	from := s.asked
	result, err := s.upgrade(from, s.request)
	m := message{Kind: sayResult, Result: &result}
	if err != nil {
		s.log.Error("Upgrade failed, the old program goes on", "error", err)
		m = message{Kind: sayResult, Error: err.Error()}
	}
	_ = from.link.send(m)
	if err == nil {
		_ = from.link.send(message{Kind: sayDrain, Limit: s.request.DrainTimeout})
		s.watch(from)
	}
	s.asked = nil
	s.due = err == nil
}

// upgrade lets a new program take over. Up to the moment that the new one takes connections everything can be taken
// back, and the order is such that nothing is lost: the new one runs; the old one changes the state no more; the new one
// restores it and must know every service that the old one knows; the old one takes no connections; the new one does.
func (s *supervisor) upgrade(from *process, req upgradeRequest) (upgradeResult, error) {
	result := upgradeResult{From: from.about.Version, To: from.about.Version}
	output, err := memoryFile()
	if err != nil {
		return result, err
	}
	defer func() { _ = syscall.Close(output) }()
	next, err := s.spawn(req.Binary, output)
	if err != nil {
		return result, err
	}
	s.next = next
	if err := s.handOver(from, next); err != nil {
		s.discard(next)
		s.next = nil
		if text := next.written(tailBytes); text != "" {
			err = fmt.Errorf("%w; the last that the new program wrote: %s", err, text)
		}
		return result, err
	}
	s.passOutput(next)
	s.current, s.next, s.exe = next, nil, s.program
	from.deadline = time.Now().Add(req.DrainTimeout + overdue)
	if !from.gone() {
		s.older = append(s.older, from)
	}
	result.To = next.about.Version
	if err := takePlace(req.Binary, s.program); err != nil {
		result.Warning = fmt.Sprintf("the new program serves, but does not take the place of %s, which a restart would run: %v", s.program, err)
		s.log.Error("Upgrade will not outlast a restart", "error", err)
	}
	if err := s.describe(); err != nil {
		result.Warning = joinText(result.Warning, err.Error())
	}
	s.log.Info("Upgraded", "from", result.From, "to", result.To, "pid", next.pid)
	return result, nil
}

func (s *supervisor) handOver(from, next *process) error {
	if err := s.exchange(next, message{}, sayHello, helloTimeout); err != nil {
		return fmt.Errorf("the new program does not run: %w", err)
	}
	thaw := func(err error) error {
		_ = from.link.send(message{Kind: sayThaw})
		return err
	}
	if err := s.exchange(from, message{Kind: sayFreeze, Limit: freezeLimit}, sayFrozen, freezeLimit+turnTimeout); err != nil {
		return thaw(err)
	}
	known := from.answer.Services
	if err := s.exchange(next, message{Kind: sayRestore}, sayReady, restoreTimeout); err != nil {
		return thaw(fmt.Errorf("the new program could not start: %w", err))
	}
	if err := sameServices(known, next.answer.Services); err != nil {
		return thaw(err)
	}
	if err := s.exchange(from, message{Kind: sayYield}, sayYielded, turnTimeout); err != nil {
		return thaw(err)
	}
	if err := s.exchange(next, message{Kind: sayAccept}, sayAccepting, turnTimeout); err != nil {
		return thaw(fmt.Errorf("the new program does not serve: %w", err))
	}
	return nil
}

// sameServices refuses a new program that would serve less than the old one. Without a list there is nothing to compare.
func sameServices(old, new map[string]string) error {
	if old == nil || new == nil {
		return nil
	}
	var errs []error
	for name, state := range old {
		switch now, there := new[name]; {
		case !there:
			errs = append(errs, fmt.Errorf("the new program does not find service %s in the state", name))
		case now != state:
			errs = append(errs, fmt.Errorf("service %s, which is %s, would be %s in the new program", name, state, now))
		}
	}
	return errors.Join(errs...)
}

// passOutput writes what the new worker wrote before it was in charge where everything is written.
func (s *supervisor) passOutput(next *process) {
	if text := next.written(1 << 20); text != "" {
		_, _ = s.lines.Write([]byte(text + "\n"))
	}
	next.output = -1
}

// watch kills an old worker that does not end in time.
func (s *supervisor) watch(p *process) {
	time.AfterFunc(time.Until(p.deadline), func() { s.events <- workerEvent{from: p, overdue: true} })
}

func (s *supervisor) passFollow(by *process, m message) {
	s.lastFollow++
	request := &followRequest{by: by, id: m.ID}
	s.follows[s.lastFollow] = request
	m.ID = s.lastFollow
	for _, p := range s.older {
		if !p.gone() && p.link.send(m) == nil {
			request.waiting = append(request.waiting, p)
		}
	}
	s.followed(nil, m.ID)
}

// followed takes one old worker off those that are waited for, and answers when none is left.
func (s *supervisor) followed(p *process, id int64) {
	request := s.follows[id]
	if request == nil {
		return
	}
	request.waiting = slices.DeleteFunc(request.waiting, func(one *process) bool { return one == p })
	if len(request.waiting) == 0 {
		delete(s.follows, id)
		_ = request.by.link.send(message{Kind: sayFollowed, ID: request.id})
	}
}

// describe writes kamald-proxy.json for who wants to know what runs here.
func (s *supervisor) describe() error {
	a := s.current.about
	sum, err := fileSHA256(s.program)
	a.Version, a.SHA256, a.Started = imageVersion(s.program, a.Build), sum, time.Now().UTC()
	return errors.Join(err, a.write(s.settings.StatePath))
}

func joinText(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
