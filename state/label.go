package state

// Labels on a container. The first three are Kamal's; destination is always there and empty when there is none, so that
// `label=destination=` finds exactly those containers.
const (
	LabelService     = "service"
	LabelRole        = "role"
	LabelDestination = "destination"

	LabelSpec     = "kamald.spec"      // the canonical spec as JSON: clear values as they are, secrets as names and digests
	LabelSpecHash = "kamald.spec-hash" // "<comparator version>:<hex>"
	LabelRelease  = "kamald.release"   // the release number
	LabelFence    = "kamald.fence"     // the fence of the lock under which it was made
	LabelRunDir   = "kamald.run_dir"   // absolute

	// LabelExec marks a container that a person had made for one command (`kamald app exec`), with the role that it is like. It has no
	// label role: it is none of the role's containers, and nobody's to heal.
	LabelExec      = "kamald.exec"
	LabelAccessory = "kamald.accessory" // whose accessory it is: App.OwnedAs
	LabelShared    = "kamald.shared"    // "true" on an accessory's that others may share

	// LabelProxyOwner names, on a proxy's container, the app whose proxy_server block it was made from: service[-destination].
	LabelProxyOwner = "kamald.proxy-owner"

	// LabelHook names, on a container that runs a hook's command once, the hook. Such a container is of no role.
	LabelHook = "kamald.hook"

	// LabelTitle with the value ProxyTitle marks the proxy's container (its image bears it).
	LabelTitle = "org.opencontainers.image.title"
	ProxyTitle = "kamal-proxy"
)
