package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// reboots is what brings a running proxy to settings that it cannot take while it runs.
const reboots = "`kamald proxy reboot` makes it anew with a short outage; until then it has those it was made with"

// OwnProxy tells whether an image is the proxy that kamald makes itself.
func OwnProxy(image string) bool {
	kind, _ := release.ProxyImage(image)
	return kind == release.OwnProxy
}

// ProxyLabels are what a proxy's container is told of itself: what was asked for it, and by whose proxy_server block. Without a block
// nobody asked, and nobody owns it. One that another app owns stays that app's: only a file that asks for the same makes it anew.
func ProxyLabels(desired release.Release, seen state.Host) map[string]string {
	labels := map[string]string{state.LabelRunDir: seen.RunDir}
	owner := desired.App().String()
	switch {
	case othersProxy(seen.Proxy, owner):
		owner = seen.Proxy.Owner
	case !desired.ProxyServer.Declared:
		return labels
	}
	asked := ProxySpec(desired, seen)
	labels[state.LabelSpec], labels[state.LabelSpecHash], labels[state.LabelProxyOwner] = asked.JSON(), asked.Hash(), owner
	return labels
}

// othersProxy: the first file that sets proxy_server owns the proxy, and its app's name is on the container.
func othersProxy(p state.Proxy, app string) bool { return p.Owner != "" && p.Owner != app }

// OthersProxy says why an app may not make a host's proxy anew: another app owns it, and this file would have it otherwise. nil where it
// may. The host's proxy must be seen with how it was made, as for ProxyDiffers.
func OthersProxy(desired release.Release, host state.Host) error {
	fields := asks(ProxyDiffers(desired, host))
	if !othersProxy(host.Proxy, desired.App().String()) || len(fields) == 0 {
		return nil
	}
	return fmt.Errorf("the proxy %s is as %s asks for it in its proxy_server block, and this file would have it otherwise (%s): "+
		"ask for the same, or reboot it with the file of %s", host.Proxy.Name, host.Proxy.Owner, FieldsText(fields), host.Proxy.Owner)
}

// proxyRuns plans what a proxy that runs needs: another program where it can be replaced with no loss, and what has to wait for a
// person where not.
func (b *builder) proxyRuns(host state.Host, step Step) {
	fields := proxyFields(b.in.Desired, host)
	if b.upgrade(host, step) {
		fields = slices.DeleteFunc(fields, func(f Field) bool { return f.Path == "image" })
	}
	if len(fields) == 0 || b.proxyOfAnother(host, fields) {
		return
	}
	b.plan.Items = append(b.plan.Items, Item{Action: Replace, Cause: Change, Resource: ResourceProxy, Host: host.Name, Name: step.Name, Risk: Downtime,
		Reason: "it was made with other settings", Class: DriftProxy, Fields: fields, Deferred: reboots})
}

// proxyOfAnother tells whether something is asked of a proxy that another app owns.
func (b *builder) proxyOfAnother(host state.Host, fields []Field) bool {
	return othersProxy(host.Proxy, b.app.String()) && len(asks(fields)) > 0
}

// asks leaves out what differs with the SSH user, and is nobody's wish.
func asks(fields []Field) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return f.Path == "volumes" })
}

// upgrade plans another program in the container that runs, one host after the other: the proxy hands its connections over. It tells
// whether the image is taken care of.
func (b *builder) upgrade(host state.Host, step Step) bool {
	image, wanted := upgradeTo(b.in.Desired, host)
	if image == "" || b.proxyOfAnother(host, []Field{{Path: "image"}}) {
		return false
	}
	if b.in.Options.Heal { // kamald is newer, not the server otherwise than it was
		return true
	}
	fields := []Field{{Path: "version", Before: host.Proxy.Version, After: wanted}}
	if !slices.Contains(host.Proxy.Features, state.FeatureUpgrade) {
		b.plan.Items = append(b.plan.Items, Item{Action: Replace, Cause: Change, Resource: ResourceProxy, Host: host.Name, Name: step.Name, Risk: Downtime,
			Reason: "it is of an earlier version, which cannot be replaced while it serves", Class: DriftProxy, Fields: fields, Deferred: reboots})
		return true
	}
	step.NewName, step.Reason, step.Risk = image, "upgrade in place, loses no request", Safe
	if b.upgraded != "" {
		step.Needs = append(step.Needs, b.upgraded)
	}
	b.plan.Items = append(b.plan.Items, Item{Action: Update, Cause: Change, Resource: ResourceProxy, Host: host.Name, Name: step.Name, Risk: Safe,
		Reason: step.Reason, Class: DriftProxy, Fields: fields})
	b.upgraded = b.add(step)
	return true
}

// upgradeTo gives the image, and its version, that a running proxy of kamald's own is older than; "" when it is not. A proxy that
// some file's proxy_server asks for is not upgraded for a file without one.
func upgradeTo(desired release.Release, host state.Host) (image, version string) {
	server := desired.ProxyServer
	kind, wanted := release.ProxyImage(server.Image)
	running := runningVersion(host.Proxy)
	switch {
	case kind != release.OwnProxy || !host.Proxy.Own && !OwnProxy(host.Proxy.Image):
		return "", ""
	case !server.Declared && (host.Proxy.Owner != "" || !OwnProxy(host.Proxy.Image)):
		return "", "" // nor is one that runs under another image's name, which nobody has asked to be ours
	case !release.Older(running, wanted):
		return "", ""
	}
	return server.Image, wanted
}

// runningVersion is the version of the program that runs: an upgrade in place leaves the container with the image it was made from.
func runningVersion(p state.Proxy) string {
	if p.Own && p.Version != "" {
		return p.Version
	}
	_, tag := release.ProxyImage(p.Image)
	return tag
}

// runningImage is the image of the program that runs.
func runningImage(p state.Proxy) string {
	if p.Own && p.Version != "" {
		return release.OwnProxy + ":" + p.Version
	}
	return p.Image
}

// ProxyTooOld tells whether a proxy is a kamal-proxy that does not take all options, and its version.
func ProxyTooOld(p state.Proxy) (version string, old bool) {
	kind, tag := release.ProxyImage(p.Image)
	return tag, kind == "kamal-proxy" && !p.Own && release.Older(tag, release.MinimumKamalProxy)
}

// checkProxy finds why the proxy that runs on a host cannot be used for this release.
func (b *builder) checkProxy(host state.Host) {
	proxy := host.Proxy
	if proxy.ID == "" {
		return
	}
	if tag, old := ProxyTooOld(proxy); old {
		next := "run `kamald proxy reboot`, which makes it anew with a short outage, from " + b.in.Desired.ProxyServer.Image
		if othersProxy(proxy, b.app.String()) {
			next = fmt.Sprintf("it is as %s asks for it: change proxy_server.image in the file of %s, and run `kamald proxy reboot` there", proxy.Owner, proxy.Owner)
		}
		b.problem(host.Name, "", fmt.Sprintf("the proxy %s is kamal-proxy %s, which is too old: %s is the oldest that takes all options", proxy.Name, tag, release.MinimumKamalProxy), next)
	}
	fields := asks(proxyFields(b.in.Desired, host))
	if !b.proxyOfAnother(host, fields) {
		return
	}
	var differ []string
	for _, f := range fields {
		before, after := f.values()
		differ = append(differ, fmt.Sprintf("%s is %s and this file asks for %s", f.Path, before, after))
	}
	b.problem(host.Name, "", fmt.Sprintf("the proxy %s is as %s asks for it, and proxy_server of this file asks for something else: %s", proxy.Name, proxy.Owner, strings.Join(differ, "; ")),
		fmt.Sprintf("ask for the same, or leave proxy_server out, which takes the proxy that is there; or change it in the file of %s and run `kamald proxy reboot` there", proxy.Owner))
}
