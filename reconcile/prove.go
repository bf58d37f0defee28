package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	// probeEvery is how often a new container is asked: a few times a second, so that a start costs what it takes. A role's own
	// check is asked as often as it says.
	probeEvery = 200 * time.Millisecond
	// probeFirst is the first pause, doubled until it is as long as it may be.
	probeFirst = 25 * time.Millisecond
	// endsTolerated: an application may lose a race at its first start; one that ends again and again is broken.
	endsTolerated = 1
	// killed is the exit code of what was ended by SIGKILL: 128 and the signal's number.
	killed = 128 + 9
	// portTimeout is how long a port may take to answer.
	portTimeout = 5 * time.Second
	// logTail is how many of its last lines a failure shows.
	logTail = 20
)

// errAbandoned: the run failed elsewhere or was cancelled, so nobody waits for this any more.
var errAbandoned = errors.New("gave up waiting for")

// outOfMemory is how it ended, whichever of its ends the engine knew that of.
const outOfMemory = "out of memory (the kernel killed it; its limit is options.memory)"

// proof watches one container until it is healthy, broken, or out of time.
type proof struct {
	reach     func(context.Context) (*Connection, error)
	conn      *Connection // as it was reached last
	desired   release.Release
	role      release.Role
	host      string
	container string // name or ID
	name      string // for people
	port      int    // that answers when it serves, where nothing else says so; 0: none
	past      int    // how often it had ended before this run: that says nothing about now

	waits time.Duration // the last pause
	seen
	current    state.Container
	answers    bool   // its port has answered
	redirected string // the health path is answered elsewhere: a warning

	ended string // how it ended, when it was seen ended: an engine forgets that with the next start

	tell func(string) // what is waited for; nil: nobody
	told string
}

// seen is the last probe's answer, for the failure.
type seen struct {
	last  string
	said  string   // the application's own words in it: for a person, and not to be kept
	hints []string // what to look at
	blind bool     // it could not be looked at
}

// prove returns when the container is healthy, for as long as the role asks. The failure names its cause.
func (p *proof) prove(ctx context.Context) error {
	deadline := p.desired.DeployTimeout
	timed, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var healthySince time.Time
	ends := 0 // by then
	for {
		before := p.seen
		healthy, err := p.once(timed)
		if timed.Err() != nil && before.last != "" {
			p.seen = before // the end of the time cut this look off: it saw nothing
		}
		switch {
		case err != nil:
			return p.failure(ctx, err.Error())
		case !healthy:
			p.tells(p.last)
			healthySince = time.Time{}
		case healthySince.IsZero() || p.current.RestartCount != ends: // it may have ended between two looks
			healthySince, ends = time.Now(), p.current.RestartCount
			if hold := p.holdFor(); hold > 0 {
				p.tells(fmt.Sprintf("it runs, and has to stay so for %s", hold))
			}
		}
		if healthy && time.Since(healthySince) >= p.holdFor() {
			return nil
		}
		if sleep(timed, p.pause(healthySince)) != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w %s: %w", errAbandoned, p.name, context.Cause(ctx))
			}
			return p.failure(ctx, fmt.Sprintf("it was not within %s; last seen: %s", deadline, p.last))
		}
	}
}

// tells says what is waited for, once for each thing.
func (p *proof) tells(what string) {
	if p.tell == nil || what == p.told || what == "" {
		return
	}
	p.told = what
	p.tell(what)
}

// pause until the next look: short at first, since many start at once; no longer than what is left of the time it has to stay
// healthy.
func (p *proof) pause(healthySince time.Time) time.Duration {
	if healthySince.IsZero() {
		p.waits = min(max(2*p.waits, probeFirst), p.every())
		return p.waits
	}
	return max(min(p.every(), p.holdFor()-time.Since(healthySince)), 10*time.Millisecond)
}

// every is the longest pause between two looks.
func (p *proof) every() time.Duration {
	if p.role.Health != nil && p.role.Health.Interval > 0 {
		return p.role.Health.Interval
	}
	return probeEvery
}

// holdFor is how long it has to stay healthy: what the role says, or the readiness delay where nothing can be asked.
func (p *proof) holdFor() time.Duration {
	switch {
	case p.role.Health != nil:
		return p.role.Health.MinHealthyTime
	case p.role.Proxy == nil && p.current.Health == "" && !p.answers:
		return p.desired.ReadinessDelay
	}
	return 0
}

// once looks at the container and asks it. The error is for what no more waiting mends.
func (p *proof) once(ctx context.Context) (bool, error) {
	p.said, p.blind = "", false
	conn, err := p.reach(ctx)
	if err != nil {
		p.last, p.blind = err.Error(), true
		return false, nil // a lost connection may come back before the deadline
	}
	p.conn = conn
	c, err := conn.Engine.Inspect(ctx, p.container, state.View{})
	switch {
	case errors.Is(err, state.ErrNotFound):
		return false, errors.New("it was removed while it was starting")
	case err != nil:
		p.last, p.blind = err.Error(), true
		return false, nil // as above
	}
	p.current = c
	if c.Status != state.StatusRunning && c.Status != state.StatusCreated && p.ended != outOfMemory {
		p.ended = endOf(c)
	}
	ends := max(0, c.RestartCount-p.past) // an engine begins to count anew with some starts
	switch {
	case c.Status == state.StatusExited || c.Status == state.StatusDead:
		return false, fmt.Errorf("it ended: %s", p.ended)
	case ends > endsTolerated && (p.ended != "" || ends > 3*endsTolerated):
		return false, fmt.Errorf("it ended %d times: %s", ends+1, cmp.Or(p.ended, "each time between two looks"))
	case c.Status != state.StatusRunning:
		p.last = "the container is " + string(c.Status)
		return false, nil
	}
	return p.ask(ctx, c)
}

func endOf(c state.Container) string {
	switch {
	case c.OOMKilled:
		return outOfMemory
	case c.Error != "":
		return c.Error
	case c.ExitCode == killed:
		// An engine may notice only after the end that it was the kernel, for want of memory.
		return fmt.Sprintf("exit code %d (killed from outside: out of memory is the usual cause, and its limit is options.memory)", c.ExitCode)
	}
	return fmt.Sprintf("exit code %d", c.ExitCode)
}

// ask uses the role's own check, else the proxy's, else Docker's.
func (p *proof) ask(ctx context.Context, c state.Container) (bool, error) {
	health := p.role.Health
	switch {
	case health != nil && len(health.Exec) > 0:
		return p.askExec(ctx, health)
	case health != nil && health.HTTP != "":
		host, port, path := splitHTTP(health.HTTP)
		return p.askHTTP(ctx, c, port, path, host, health.Timeout)
	case health != nil && health.TCP > 0:
		return p.askTCP(ctx, c, health)
	case health != nil && health.Log != "":
		return p.askLog(ctx, c, health)
	case p.role.Proxy != nil:
		o := p.role.Proxy.Options
		port := o.HealthPort
		if port == 0 {
			port = p.role.Proxy.AppPort
		}
		return p.askHTTP(ctx, c, port, o.HealthPath, o.HealthHost, o.HealthTimeout)
	case c.Health != "":
		p.last = "Docker's health check says " + c.Health
		return c.Health == "healthy", nil
	case p.port > 0 && c.IPs[p.desired.Network] != "":
		return p.askPort(ctx, c)
	}
	return true, nil // it runs; holdFor makes it stay so
}

func (p *proof) askExec(ctx context.Context, h *release.Health) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	result, err := p.conn.Engine.Exec(ctx, p.container, h.Exec)
	if err != nil {
		p.last = fmt.Sprintf("%s could not be run: %v", strings.Join(h.Exec, " "), err)
		return false, nil
	}
	p.last = fmt.Sprintf("%s ended with code %d", strings.Join(h.Exec, " "), result.Code)
	p.said = firstLine(result.Stderr + result.Stdout)
	return result.Code == 0, nil
}

func (p *proof) askTCP(ctx context.Context, c state.Container, h *release.Health) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if c.IPs[p.desired.Network] == "" {
		p.last = "the container has no address on the network " + p.desired.Network
		return false, nil
	}
	err := p.conn.Prober.TCP(ctx, p.address(c, h.TCP))
	p.last = fmt.Sprintf("TCP port %d: %v", h.TCP, err)
	return err == nil, nil
}

// askPort asks whether anything listens where the accessory is reached. Where sshd forwards no TCP, running has to do.
func (p *proof) askPort(ctx context.Context, c state.Container) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, portTimeout)
	defer cancel()
	err := p.conn.Prober.TCP(ctx, p.address(c, p.port))
	p.answers = err == nil
	p.last = fmt.Sprintf("TCP port %d: %v", p.port, err)
	return err == nil || errors.Is(err, state.ErrDenied), nil
}

func (p *proof) askLog(ctx context.Context, c state.Container, h *release.Health) (bool, error) {
	pattern, err := regexp.Compile(h.Log)
	if err != nil {
		return false, fmt.Errorf("health.log is no regular expression: %w", err)
	}
	lines, err := p.conn.Engine.Logs(ctx, p.container, 1000, betweenRuns(c))
	if err != nil {
		p.last = err.Error()
		return false, nil
	}
	for _, line := range lines {
		if pattern.MatchString(line) {
			return true, nil
		}
	}
	p.last = fmt.Sprintf("none of its last %d log lines matches %q", len(lines), h.Log)
	return false, nil
}

// betweenRuns is a time after all that an earlier run of the container has said, which is no sign of this one, and before all that
// this one has: the engine dates a line when it reads it, which may be somewhat after the end. Zero for the first run.
func betweenRuns(c state.Container) time.Time {
	if c.Finished.IsZero() || !c.Finished.Before(c.Started) {
		return time.Time{}
	}
	return c.Finished.Add(c.Started.Sub(c.Finished) / 2)
}

func (p *proof) askHTTP(ctx context.Context, c state.Container, port int, path, host string, timeout time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := p.address(c, port)
	if c.IPs[p.desired.Network] == "" { // else this would ask the server itself
		p.last = "the container has no address on the network " + p.desired.Network
		return false, nil
	}
	p.redirected = ""
	result, err := p.follow(ctx, address, path, host)
	switch {
	case errors.Is(err, state.ErrDenied) && p.role.Proxy != nil:
		// sshd forwards no TCP here: the proxy's own check decides at the switch.
		p.last = "kamald cannot ask it over SSH: " + err.Error()
		return true, nil
	case err != nil:
		p.last = fmt.Sprintf("GET :%d%s: %v", port, path, err)
		return false, nil
	}
	p.last = fmt.Sprintf("GET :%d%s: %d %s", port, path, result.Status, http.StatusText(result.Status))
	p.said = firstLine(result.Body)
	p.hints = httpHints(result, host)
	return result.Status >= 200 && result.Status < 300, nil
}

// httpHints says what usually is behind an answer.
func httpHints(r state.HTTPResult, host string) []string {
	switch {
	case r.Status >= 300 && r.Status < 400:
		return []string{fmt.Sprintf("it redirects to %s: let the health path answer 200 without a redirect (force_ssl and a login are the usual causes), or set healthcheck.path", r.Location)}
	case r.Status == http.StatusForbidden || r.Status == http.StatusBadRequest:
		return []string{fmt.Sprintf("the application may refuse the Host header %q: set proxy.healthcheck.host to a name it allows", host)}
	case r.Status == http.StatusNotFound:
		return []string{"the health path is not there: set proxy.healthcheck.path"}
	}
	return nil
}

func (p *proof) address(c state.Container, port int) string {
	return net.JoinHostPort(c.IPs[p.desired.Network], strconv.Itoa(port))
}

// splitHTTP reads ":9000/up" and "app.example.com:9000/up": the Host header to send, the port and the path.
func splitHTTP(s string) (host string, port int, path string) {
	s = strings.TrimPrefix(s, "http://")
	hostport, path, _ := strings.Cut(s, "/")
	host, text, _ := strings.Cut(hostport, ":")
	port, _ = strconv.Atoi(text)
	if port == 0 {
		port = 80
	}
	return host, port, "/" + path
}

// failure gathers what a person needs to know: the cause, what may be behind it, the last log lines.
func (p *proof) failure(ctx context.Context, cause string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	failure := &UnhealthyError{Host: p.host, Role: p.role.Name, Container: p.name, Cause: cause, Said: p.said, Hints: p.hints, Blind: p.blind}
	if p.conn == nil {
		return failure // it was never reached
	}
	if p.role.Proxy != nil && p.current.Running() && strings.Contains(p.last, "refused") {
		failure.Hints = append(failure.Hints, p.listening(ctx)...)
	}
	if lines, err := p.conn.Engine.Logs(ctx, p.container, logTail, time.Time{}); err == nil {
		failure.Logs = lines
	}
	return failure
}

// usualPorts are where applications listen when nobody says otherwise.
var usualPorts = []int{80, 3000, 8080, 8000, 5000, 4000, 9292, 4567, 9000, 8888, 443}

// listening finds a port that does answer where the expected one refuses.
func (p *proof) listening(ctx context.Context) []string {
	want := p.role.Proxy.AppPort
	ports := usualPorts
	if image, err := p.conn.Engine.Image(ctx, p.current.ImageID); err == nil {
		ports = append(append([]int{}, image.Ports...), ports...)
	}
	for _, port := range ports {
		if port != want && p.conn.Prober.TCP(ctx, p.address(p.current, port)) == nil {
			return []string{fmt.Sprintf("port %d refuses and port %d listens: set proxy.app_port = %d, or have it listen on 0.0.0.0:%d", want, port, port, want)}
		}
	}
	return []string{fmt.Sprintf("nothing listens on port %d of the container's own address: it may listen on 127.0.0.1 only, on another port, or not yet", want)}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return line
}
