package drift

import "github.com/kamald/kamald/plan"

// Meaning explains a class of findings.
type Meaning struct {
	Class   plan.DriftClass
	Short   string // a line
	Text    string // what it means, and how it comes about
	Healing string // what healing does about it
}

// Meanings explains every class, in the order in which they are listed.
func Meanings() []Meaning {
	all := make([]Meaning, 0, len(meanings))
	for _, class := range plan.DriftClasses {
		m := meanings[class]
		m.Class = class
		all = append(all, m)
	}
	return all
}

var meanings = map[plan.DriftClass]Meaning{
	plan.DriftMissing: {Short: "A container is not there",
		Text:    "Somebody removed the container of a role, or the host lost it. Nothing serves there, or an older container does.",
		Healing: "It is made again from the released image, proven healthy, and the route is switched to it."},
	plan.DriftExited: {Short: "A container has ended",
		Text:    "The container is there and does not run: it was stopped by hand, ended by itself, or ran out of memory. The reason has its exit code.",
		Healing: "It is started again, proven healthy, and the route is switched to it where another serves."},
	plan.DriftRestarting: {Short: "A container ends again and again",
		Text:    "The engine starts the container and it ends, over and over, or the engine could not end it properly.",
		Healing: "Another one is made from the released image. One that ends again is left alone after a few times."},
	plan.DriftUnhealthy: {Short: "A container's own health check fails",
		Text:    "It runs, and `kamald run` has asked it three times with the role's own check, else the proxy's; or the role has neither, and Docker's health check says so.",
		Healing: "Another one is made and takes its place once it is healthy."},
	plan.DriftPaused: {Short: "A container is paused",
		Text:    "Somebody ran docker pause: the container's processes stand still, and requests to it hang.",
		Healing: "Another one is made and takes its place."},
	plan.DriftRoute: {Short: "The proxy has lost a route, or has it otherwise",
		Text:    "The proxy does not know the role's route, sends it elsewhere, or has other options for it. A maintenance whose time has passed is one, too, and error pages that a route names and the host has no more.",
		Healing: "The route is put back, to a container that was proven healthy first; error pages are brought first."},
	plan.DriftNetwork: {Short: "A network is missing, or a container is not on it",
		Text:    "The Docker network was removed, or a container was detached from it: the proxy does not reach it.",
		Healing: "The network is made again, the container attached in place."},
	plan.DriftProxy: {Short: "The proxy itself is not as it should be",
		Text:    "The proxy's container is stopped, gone or off the network; then nothing on that host serves. With other settings than the file's it serves, and is a warning.",
		Healing: "It is made or started again. Other settings wait for kamald proxy reboot, which costs a short outage."},
	plan.DriftSpec: {Short: "A container is there with another specification",
		Text:    "Variables, volumes, limits, command or image differ from what was released: somebody made it again by hand, or used docker update. Values of secrets are never shown.",
		Healing: "Limits and the like are set right in place; for the rest another container takes its place."},
	plan.DriftSuperseded: {Short: "An older container still runs",
		Text:    "A container of an earlier version runs beside the released one, or in place of it.",
		Healing: "The released version is brought, and the older container drained and stopped."},
	plan.DriftTag: {Short: "The tag latest is at another image",
		Text:    "latest, or latest-DESTINATION, says which version a host runs; somebody has moved or removed it.",
		Healing: "The tag is moved back to the released version."},
	plan.DriftImage: {Short: "The released image is missing, or its tag is at another",
		Text:    "A container has to be made and its image is not on the host; or the version's tag was moved to another image.",
		Healing: "The image is fetched again by its digest, and the tag put back."},
	plan.DriftSecretsFile: {Short: "A file of secrets or a certificate is missing",
		Text:    "What lies on the host is not what a role needs to be made again. Which values are in it is never shown.",
		Healing: "Nothing where the secrets are not at hand: kamald env push brings them."},
	plan.DriftMoved: {Short: "Somebody moved a version by hand",
		Text:    "latest, or a serving container, is at another version, and no record says so: kamal deploy, or a hand, did it.",
		Healing: "Nothing, and nothing else of the app is touched: kamald adopt takes what runs now, kamald release VERSION goes to that version."},
	plan.DriftDisk: {Short: "Something that is kept for nothing takes room",
		Text:    "An interrupted run left files, or images and containers lie beyond what is kept for a rollback.",
		Healing: "It is removed."},
	plan.DriftOrphan: {Short: "Something of ours that no release asks for",
		Text:    "A container or route of a role or host that is not in the release any more, or one that a failed run left.",
		Healing: "What a failed run left is removed. What serves waits for kamald approve, or for kamald apply."},
	plan.DriftRecord: {Short: "A host lacks the record of the release",
		Text:    "The release record was removed, could not be written, or the host was away when it was.",
		Healing: "The record is written there."},
}
