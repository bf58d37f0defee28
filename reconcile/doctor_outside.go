package reconcile

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// doctorOutside looks at the names of the routes and at their certificates, as somebody elsewhere would.
func (c *Controller) doctorOutside(ctx context.Context, f *findings, desired release.Release, outside Outside) {
	for _, role := range desired.Proxied() {
		addresses := map[string][]string{} // host → what leads to it
		var all []string
		for _, name := range role.Hosts {
			on, _ := desired.Host(name)
			found, err := outside.Addresses(ctx, on.Address)
			if err != nil {
				found = []string{on.Address}
			}
			addresses[name] = found
			all = append(all, found...)
		}
		for _, name := range role.Proxy.Options.Hosts {
			if name == "" || strings.HasPrefix(name, "*") {
				continue // nobody asks for it by that
			}
			doctorName(ctx, f, outside, name, all)
			if role.Proxy.Options.TLS && len(role.CertificateSecrets()) == 0 {
				c.doctorServed(ctx, f, outside, desired, role, name, addresses)
			}
		}
		c.doctorCertificate(f, outside, role)
	}
}

// doctorName asks where a name leads.
func doctorName(ctx context.Context, f *findings, outside Outside, name string, hosts []string) {
	found, err := outside.Addresses(ctx, name)
	switch {
	case err != nil || len(found) == 0:
		f.add(LevelWrong, "outside", "name "+name, "make an A or AAAA record of it that leads to "+strings.Join(hosts, " or "), "it does not resolve on this machine: %v", err)
	case !slices.ContainsFunc(found, func(address string) bool { return slices.Contains(hosts, address) }):
		f.add(LevelWarning, "outside", "name "+name, "where no load balancer or CDN is before the hosts, lead it to "+strings.Join(hosts, " or "),
			"it leads to %s, which is no host of its role", strings.Join(found, ", "))
	default:
		f.add(LevelOK, "outside", "name "+name, "", "it leads to %s", strings.Join(found, ", "))
	}
}

// doctorServed asks each host for the certificate that it has got by itself.
func (c *Controller) doctorServed(ctx context.Context, f *findings, outside Outside, desired release.Release, role release.Role, name string, addresses map[string][]string) {
	for _, host := range role.Places() {
		on, _ := desired.Host(host)
		address := on.Address
		if found := addresses[host]; len(found) > 0 {
			address = found[0]
		}
		served, err := outside.Served(ctx, address, desired.ProxyServer.HTTPSPort, name)
		if err != nil {
			f.add(LevelWarning, host, "certificate of "+name, "a firewall may be between; from elsewhere `openssl s_client -connect "+name+":443` asks the same", "it cannot be asked for from here: %v", err)
			continue
		}
		c.doctorDates(f, host, name, served, "the proxy renews it by itself: `kamald proxy details` says what hinders it")
	}
}

// doctorCertificate looks at a certificate that the role brings.
func (c *Controller) doctorCertificate(f *findings, outside Outside, role release.Role) {
	if len(role.CertificateSecrets()) == 0 {
		return
	}
	values, err := c.certificateAtHand(role)
	chain, ok := values[state.Certificate]
	if err == nil && !ok {
		return // that it is not at hand is said of the secret
	}
	var parsed state.ServedCertificate
	if err == nil {
		parsed, err = outside.Parsed(chain.Reveal())
	}
	if err != nil {
		f.add(LevelWrong, "this machine", "certificate of role "+role.Name, "put the chain as PEM into the secret", "%v", err)
		return
	}
	for _, name := range role.Proxy.Options.Hosts {
		if !strings.HasPrefix(name, "*") {
			c.doctorDates(f, "this machine", name, parsed, "get another, put it into the secret, and run `kamald apply`")
		}
	}
}

func (c *Controller) doctorDates(f *findings, where, name string, served state.ServedCertificate, next string) {
	left := served.Until.Sub(c.now())
	what := "certificate of " + name
	switch {
	case !served.Fits(name):
		f.add(LevelWrong, where, what, next, "it is for %s", strings.Join(served.Names, ", "))
	case left <= 0:
		f.add(LevelWrong, where, what, next, "it ended on %s", served.Until.Format(time.DateOnly))
	case served.From.After(c.now()):
		f.add(LevelWrong, where, what, "look at the clocks", "it begins on %s", served.From.Format(time.DateOnly))
	case left < soonOver:
		f.add(LevelWarning, where, what, next, "it ends on %s", served.Until.Format(time.DateOnly))
	default:
		f.add(LevelOK, where, what, "", "it is by %s and ends on %s", served.By, served.Until.Format(time.DateOnly))
	}
}
