package reconcile

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// accessoryLook is what is seen of the accessories on a host, which other labels and images find than the app's.
type accessoryLook struct {
	mu         sync.Mutex
	containers []state.Container
	images     []state.Image
	contents   map[string]map[string]content    // role → path in the container → what lies on the host; they live as long as the look
	lying      map[string]map[string]state.File // the same way, permissions and owners of files and directories
}

// content is what lies on a host in a file; hidden: the SSH user may not read it.
type content struct {
	data   []byte
	hidden bool
}

// observeAccessories asks for what the release has beside it on the host: containers by their labels, images, and what lies there of
// the files that are put there. An engine makes a directory in the place of a file that is gone, and a container's user may take one for
// itself: neither keeps the host from being seen.
func (l *look) observeAccessories(ctx context.Context, group crew) {
	l.besides = map[string]bool{}
	l.lieBeside()
	for _, a := range l.desired.AccessoriesOn(l.on.Name) {
		group.Go(func() error { return l.labelled(ctx, a.Service) })
		group.Go(func() error { return l.accessoryImage(ctx, a.Image) })
		l.observePermissions(ctx, group, a)
		role := state.AccessoryRole(a.Name)
		for _, file := range a.Files {
			group.Go(func() error {
				data, err := l.conn.Files.Read(ctx, onHost(file.Path))
				hidden := errors.Is(err, fs.ErrPermission)
				if err != nil && !hidden {
					return unless(err, fs.ErrNotExist, state.ErrDirectory)
				}
				l.accessories.mu.Lock()
				defer l.accessories.mu.Unlock()
				l.accessories.contents[role][file.To] = content{data, hidden}
				return nil
			})
		}
	}
}

// lieBeside makes room for what is found of files and directories, before anything is asked for that writes there.
func (l *look) lieBeside() {
	l.accessories.contents, l.accessories.lying = map[string]map[string]content{}, map[string]map[string]state.File{}
	for _, a := range l.desired.AccessoriesOn(l.on.Name) {
		role := state.AccessoryRole(a.Name)
		if len(a.Files) > 0 {
			l.accessories.contents[role] = map[string]content{}
		}
		if slices.ContainsFunc(slices.Concat(a.Files, a.Directories), plan.Permitted) {
			l.accessories.lying[role] = map[string]state.File{}
		}
	}
}

// observePermissions asks for permissions and owners of what is put on the host, beside what is in it: that takes no further round. What
// may not be looked at is there, and that is all that is known.
func (l *look) observePermissions(ctx context.Context, group crew, a release.Accessory) {
	role := state.AccessoryRole(a.Name)
	for _, placed := range slices.Concat(a.Files, a.Directories) {
		if !plan.Permitted(placed) {
			continue
		}
		group.Go(func() error {
			is, err := l.conn.Files.Stat(ctx, onHost(placed.Path))
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				return unless(err, fs.ErrNotExist)
			}
			l.accessories.mu.Lock()
			defer l.accessories.mu.Unlock()
			l.accessories.lying[role][placed.To] = is
			return nil
		})
	}
}

// labelled lists the containers of a service that is not the app's own.
func (l *look) labelled(ctx context.Context, service string) error {
	found, err := l.conn.Engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: service}})
	l.accessories.mu.Lock()
	defer l.accessories.mu.Unlock()
	for _, c := range found {
		if c.Role == "" && !l.besides[c.ID] {
			l.besides[c.ID] = true
			l.accessories.containers = append(l.accessories.containers, c)
		}
	}
	return err
}

// accessoryImage inspects an image by its ID or reference; one that is not there is not seen.
func (l *look) accessoryImage(ctx context.Context, ref string) error {
	image, err := l.conn.Engine.Image(ctx, ref)
	if err != nil {
		return unless(err, state.ErrNotFound)
	}
	l.accessories.mu.Lock()
	defer l.accessories.mu.Unlock()
	if i := slices.IndexFunc(l.accessories.images, func(m state.Image) bool { return m.ID == image.ID }); i < 0 {
		l.accessories.images = append(l.accessories.images, image)
	}
	return nil
}

// mergeAccessories puts the containers of accessories with the app's own.
func (l *look) mergeAccessories() {
	for _, c := range l.accessories.containers {
		if !slices.ContainsFunc(l.host.Containers, func(other state.Container) bool { return other.ID == c.ID }) {
			l.host.Containers = append(l.host.Containers, c)
		}
	}
}

// roleOf finds whose a container is.
func (l *look) roleOf(c state.Container) (release.Role, bool) {
	if c.Role != "" {
		return l.desired.Role(c.Role)
	}
	for _, a := range l.desired.AccessoriesOn(l.on.Name) {
		if a.Service == c.Service {
			return a.Role(), true
		}
	}
	return release.Role{}, false
}

// leftAccessories looks for the containers of accessories that the host's record has and the release has not, and for the images of
// those that were seen: both are named by what was seen before.
func (l *look) leftAccessories(ctx context.Context) error {
	var images []string // before anything is asked for that writes down what is beside the app
	for _, c := range l.host.Containers {
		if l.besides[c.ID] && c.ImageID != "" {
			images = append(images, c.ImageID)
		}
	}
	group, grouped := crewWithin(ctx)
	for _, service := range l.formerServices() {
		group.Go(func() error { return l.labelled(grouped, service) })
	}
	for _, id := range images {
		group.Go(func() error { return l.accessoryImage(grouped, id) })
	}
	for _, id := range l.strangers() {
		group.Go(func() error { return l.stranger(grouped, id) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	known := len(l.host.Containers)
	l.mergeAccessories()
	group, grouped = crewWithin(ctx)
	for i, c := range l.host.Containers[known:] {
		group.Go(func() error {
			inspected, err := l.conn.Engine.Inspect(grouped, c.ID, l.view(c))
			if err == nil {
				l.host.Containers[known+i] = inspected
			}
			return unless(err, state.ErrNotFound)
		})
	}
	l.host.AccessoryImages = l.accessories.images
	slices.SortFunc(l.host.AccessoryImages, func(a, b state.Image) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return group.Wait()
}

// strangers are the targets of routes that are named as accessories' are, and go to containers that are not the app's.
func (l *look) strangers() (ids []string) {
	for _, a := range l.desired.AccessoriesOn(l.on.Name) {
		route, there := l.host.Proxy.Route(a.Service)
		known := slices.ContainsFunc(l.host.Containers, func(c state.Container) bool { return c.ShortID() == route.TargetID() })
		if there && !known && route.TargetID() != "" {
			ids = append(ids, route.TargetID())
		}
	}
	return ids
}

// stranger sees whose container such a route goes to; one that is not there is nobody's.
func (l *look) stranger(ctx context.Context, id string) error {
	c, err := l.conn.Engine.Inspect(ctx, id, state.View{})
	if err != nil {
		return unless(err, state.ErrNotFound)
	}
	l.accessories.mu.Lock()
	defer l.accessories.mu.Unlock()
	if c.Service != "" {
		l.accessories.containers = append(l.accessories.containers, c)
	}
	return nil
}

// formerServices are the container names of accessories that the host's newest record has there, and the release has not.
func (l *look) formerServices() []string {
	if l.host.Record == nil || !bytes.Contains(l.host.Record.Release, []byte(`"accessories":`)) {
		return nil
	}
	held, err := unpackRelease(l.host.Record.Release)
	if err != nil {
		return nil // who needs it says so
	}
	var services []string
	wanted := l.desired.AccessoriesOn(l.on.Name)
	for _, a := range held.AccessoriesOn(l.on.Name) {
		if !slices.ContainsFunc(wanted, func(other release.Accessory) bool { return other.Service == a.Service }) {
			services = append(services, a.Service)
		}
	}
	return services
}

// digestContents keeps of the files that lie there their digests: keyed where a secret is in them.
func (l *look) digestContents() {
	for _, a := range l.desired.AccessoriesOn(l.on.Name) {
		role := state.AccessoryRole(a.Name)
		contents, looked := l.accessories.contents[role]
		lying := l.accessories.lying[role]
		if !looked && lying == nil {
			continue
		}
		file := state.EnvFile{Role: state.FilesName(role), Digests: map[string]string{}, Files: lying}
		for _, placed := range a.Files {
			lies, there := contents[placed.To]
			switch _, clear := placed.Clear(); {
			case !there:
			case lies.hidden:
				file.Digests[placed.To] = unknownContent
			case clear:
				file.Digests[placed.To] = release.FileDigest(lies.data)
			default:
				file.Digests[placed.To] = l.key.contentDigest(lies.data)
			}
		}
		l.host.EnvFiles = append(l.host.EnvFiles, file)
	}
}

// unknownContent stands for a content with secrets in it on a host without a key, and for one that the SSH user may not read: it is there,
// and that is all that is known.
const unknownContent = "~"

// contentDigest is the digest of a content with secrets in it.
func (k digestKey) contentDigest(data []byte) string {
	if k.marks != nil {
		return unknownContent
	}
	return state.SecretDigest(k.key, string(data))
}
