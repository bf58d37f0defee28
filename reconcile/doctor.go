package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Level is how bad a finding is.
type Level string

// The levels of findings.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning" // it may be meant so
	LevelWrong   Level = "wrong"
)

// Finding is what was found of one thing.
type Finding struct {
	Where string `json:"where"` // a host, or "this machine", "the file", "outside"
	What  string `json:"what"`
	Level Level  `json:"level"`
	Said  string `json:"said"`
	Next  string `json:"next,omitempty"` // how to mend it
}

// Outside sees of an app what anybody does.
type Outside interface {
	// Addresses gives what a name resolves to.
	Addresses(ctx context.Context, name string) ([]string, error)
	// Served gives the certificate that a server shows for a name.
	Served(ctx context.Context, address string, port int, name string) (state.ServedCertificate, error)
	// Parsed gives what a chain in PEM says.
	Parsed(chain string) (state.ServedCertificate, error)
}

const (
	littleRoom = 2 << 30             // bytes free from which on a host is worth a word
	soonOver   = 14 * 24 * time.Hour // what a certificate has left then
)

// findings gathers what is found, in the order of its parts.
type findings struct{ list []Finding }

func (f *findings) add(level Level, where, what, next, format string, args ...any) {
	f.list = append(f.list, Finding{Where: where, What: what, Level: level, Said: fmt.Sprintf(format, args...), Next: next})
}

// Doctor looks at all that a release of the app depends on, all hosts at once, and changes nothing on any. The error is only for a
// look that could not be made at all.
func (c *Controller) Doctor(ctx context.Context, desired release.Release, outside Outside) ([]Finding, error) {
	var world findings
	var asking branches
	asking.Go(func() { c.doctorOutside(ctx, &world, desired, outside) })
	planned, err := c.Plan(ctx, desired, Options{SkipUnreachable: true, Pin: &plan.Pin{}})
	if err != nil {
		asking.Wait()
		return nil, err
	}
	var f findings
	c.doctorSecrets(&f, desired)
	proxies, err := c.Proxies(ctx, desired, nil)
	if err != nil {
		f.add(LevelWrong, "the hosts", "proxy", "", "the proxies could not be asked: %v", err)
	}
	for _, on := range desired.Hosts {
		host, ok := planned.Snapshot.Host(on.Name)
		if !ok {
			f.add(LevelWarning, on.Name, "reach", fmt.Sprintf("`kamald server uncordon %s` takes it in again", on.Name), "it is left out on purpose, and was not looked at")
			continue
		}
		c.doctorHost(&f, desired, host)
		for _, p := range proxies {
			if p.Host == on.Name && host.Unreachable == "" {
				doctorProxy(&f, p)
			}
		}
		for _, problem := range planned.Plan.Problems {
			if problem.Host == on.Name && host.Unreachable == "" {
				f.add(LevelWrong, on.Name, doctored(problem), problem.Next, "%s", problem.Summary)
			}
		}
	}
	for _, problem := range planned.Plan.Problems {
		if problem.Host == "" {
			f.add(LevelWrong, "the release", doctored(problem), problem.Next, "%s", problem.Summary)
		}
	}
	asking.Wait()
	return append(f.list, world.list...), ctx.Err()
}

func doctored(p plan.Problem) string {
	if p.Role != "" {
		return "role " + p.Role
	}
	if p.Check != "" {
		return string(p.Check)
	}
	return "release"
}

// doctorHost says what a look has shown of a host.
func (c *Controller) doctorHost(f *findings, desired release.Release, host state.Host) {
	name := host.Name
	if host.NoEngine != "" {
		f.add(LevelWrong, name, "docker", fmt.Sprintf("`kamald server bootstrap --hosts %s` installs and starts it, and lets the SSH user in", name), "%s", host.Unreachable)
		return
	}
	if host.Unreachable != "" {
		f.add(LevelWrong, name, "reach", fmt.Sprintf("try `ssh` to it by hand with the address, user and keys of the file; `kamald server cordon %s` leaves it out until then", name), "%s", host.Unreachable)
		return
	}
	f.add(LevelOK, name, "reach", "", "it answers, as the SSH user at %s", host.Home)
	f.add(LevelOK, name, "docker", "", "version %s, %s/%s", host.Engine.Version, host.Engine.OS, host.Engine.Arch)
	switch {
	case host.FreeBytes < 0:
		f.add(LevelWarning, name, "disk", "", "nobody there says how much room the engine has")
	case host.FreeBytes < littleRoom:
		f.add(LevelWarning, name, "disk", "`kamald prune` removes what no rollback needs; `docker system df -v` there says what else takes room", "%s are free where the engine keeps images", plan.Size(host.FreeBytes))
	default:
		f.add(LevelOK, name, "disk", "", "%s are free where the engine keeps images", plan.Size(host.FreeBytes))
	}
	if ahead := host.Engine.Ahead.Round(time.Second); ahead.Abs() > plan.MuchSkew {
		f.add(LevelWarning, name, "clock", "set its clock (timedatectl set-ntp true)", "its clock differs by %s from this machine's: certificates, tokens and log times are judged by it", ahead)
	} else {
		f.add(LevelOK, name, "clock", "", "it goes as this machine's does")
	}
	if host.HasNetwork(desired.Network) {
		f.add(LevelOK, name, "network", "", "%s is there", desired.Network)
	} else {
		f.add(LevelWarning, name, "network", "the next `kamald apply` makes it", "there is no network %s yet", desired.Network)
	}
	if l := host.Lock; l != nil {
		f.add(LevelWarning, name, "lock", "`kamald lock status` says whose it is, `kamald lock release` gives back one that nobody needs", "%s holds the deploy lock since %s: %s",
			l.Owner, l.Taken.Format(time.RFC3339), l.Message)
	} else {
		f.add(LevelOK, name, "lock", "", "nobody holds the deploy lock")
	}
}

// doctorProxy says what a host's proxy says of itself.
func doctorProxy(f *findings, p ProxyHost) {
	switch {
	case p.Unreachable != "":
		f.add(LevelWrong, p.Host, "proxy", "", "%s", p.Unreachable)
	case p.Container == "":
		f.add(LevelWarning, p.Host, "proxy", "the next `kamald apply` makes it, `kamald proxy boot` does by itself", "there is none yet")
	case p.State != state.StatusRunning && p.Stopped != nil:
		f.add(LevelWarning, p.Host, "proxy", fmt.Sprintf("`kamald proxy start --hosts %s`", p.Host), "%s has stopped it on purpose: %s", p.Stopped.Who, p.Stopped.Reason)
	case p.State != state.StatusRunning:
		f.add(LevelWrong, p.Host, "proxy", fmt.Sprintf("`kamald proxy start --hosts %s`; `kamald proxy logs --hosts %s` says why it ended", p.Host, p.Host), "%s does not run (%s)", p.Container, p.State)
	case p.Unread != "":
		f.add(LevelWrong, p.Host, "proxy", fmt.Sprintf("`kamald proxy restart --hosts %s`", p.Host), "version %s runs and does not answer: %s", p.Version, p.Unread)
	default:
		f.add(LevelOK, p.Host, "proxy", "", "version %s runs", p.Version)
	}
	for _, conflict := range p.Conflicts {
		f.add(LevelWarning, p.Host, "proxy", "docs/proxy.md says how", "%s", conflict)
	}
	for _, r := range p.Routes {
		switch {
		case !r.Own || p.State != state.StatusRunning: // of a proxy that does not run nothing serves, whatever it keeps
		case r.State == "lost" || r.State == "broken":
			f.add(LevelWrong, p.Host, "route "+r.Name, "`kamald apply` puts it right", "it is %s", r.State)
		case r.Health != "" && r.Health != "healthy":
			f.add(LevelWrong, p.Host, "route "+r.Name, fmt.Sprintf("the log of its container on %s says more; `kamald rollback` goes back to the release before", p.Host), "%s", r.Health)
		case r.State != "running":
			f.add(LevelWarning, p.Host, "route "+r.Name, "`kamald app live` or `kamald proxy resume` ends that", "it is %s on purpose", r.State)
		default:
			f.add(LevelOK, p.Host, "route "+r.Name, "", "it serves")
		}
	}
}

// doctorSecrets looks every secret of the file up.
func (c *Controller) doctorSecrets(f *findings, desired release.Release) {
	found, why := 0, map[string]error{}
	names, onHosts := neededSecrets(desired)
	for _, name := range names {
		_, ok, err := c.Secrets.Secret(name)
		if ok {
			found++
			continue
		}
		why[name] = err
	}
	for _, name := range names {
		err, missing := why[name]
		level, said := LevelWrong, "it is not at hand"
		switch {
		case !missing:
			continue
		case err != nil:
			said = err.Error()
		case onHosts[name]:
			level, said = LevelWarning, "it is not at hand here: releases take what lies on the hosts, and a host that lacks it is named above or below"
		}
		f.add(level, "this machine", "secret "+name, "put it into "+strings.Join(c.Secrets.Sources(), " or ")+", or mend what it is fetched from", "%s", said)
	}
	if len(names) > 0 && found == len(names) {
		all := fmt.Sprintf("all %d are found", found)
		if found == 1 {
			all = "the only one is found"
		}
		f.add(LevelOK, "this machine", "secrets", "", "%s", all)
	}
}

// neededSecrets names every secret of a release, each once; onHosts are those that lie on the hosts once they were pushed.
func neededSecrets(desired release.Release) (names []string, onHosts map[string]bool) {
	onHosts = map[string]bool{}
	want := func(name string, pushed bool) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
			onHosts[name] = pushed
		}
	}
	if r := desired.Registry; r != nil {
		want(r.UsernameSecret, false)
		want(r.PasswordSecret, false)
	}
	for _, on := range desired.Hosts {
		for _, key := range on.SSH.KeySecrets {
			want(key, false)
		}
		for _, role := range desired.Tenants() {
			if slices.Contains(role.Hosts, on.Name) {
				secrets := desired.EnvOn(role, on).Secrets
				for _, variable := range sortedKeys(secrets) {
					want(secrets[variable], true)
				}
			}
		}
	}
	for _, role := range desired.Roles {
		for _, name := range role.CertificateSecrets() {
			want(name, true)
		}
	}
	for _, a := range desired.Accessories {
		for _, file := range a.Files {
			for _, name := range file.Secrets() {
				want(name, true)
			}
		}
		if r := a.Registry; r != nil {
			want(r.UsernameSecret, false)
			want(r.PasswordSecret, false)
		}
	}
	return names, onHosts
}
