package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// keys are the hosts' digest keys as they were read in an observation; they are not part of the snapshot.
type keys map[string]digestKey

// observe looks at every host of the release at once. A host that cannot be observed is in the snapshot with the reason; the
// error is only for a context that ended. known is the last snapshot: release records that it has are not read again. Hosts that are
// given are taken as they are: those that this run could not reach a moment ago, and those that nobody wants looked at. A host is waited
// for no longer than patience; 0: as long as its calls may take.
func observe(ctx context.Context, fleet *Fleet, patience time.Duration, desired release.Release, known state.Snapshot, now time.Time, given ...state.Host) (state.Snapshot, keys, error) {
	snapshot := state.Snapshot{Schema: state.SnapshotSchema, App: desired.App(), TakenAt: now, Hosts: make([]state.Host, len(desired.Hosts))}
	found := make([]*digestKey, len(desired.Hosts)) // nil: it was not looked at
	taken := make(map[string]state.Host, len(given))
	for _, host := range given {
		taken[host.Name] = host
	}
	records := &sameRecord{}
	var looking branches
	for i, on := range desired.Hosts {
		looking.Go(func() {
			old, _ := known.Host(on.Name)
			if host, is := taken[on.Name]; is {
				snapshot.Hosts[i] = host
				return
			}
			var host state.Host
			var key digestKey
			err := Guard(func() (err error) {
				host, key, err = observeWithin(ctx, patience, fleet, desired, on, old, records)
				return err
			})
			if err != nil {
				fleet.tellDefect(err)
				host = unseen(on.Name, old, err)
			}
			host.SeenAt = now
			snapshot.Hosts[i], found[i] = host, &key
		})
	}
	looking.Wait()
	read := keys{}
	for i, on := range desired.Hosts {
		if found[i] != nil {
			read[on.Name] = *found[i]
		}
	}
	return snapshot, read, ctx.Err()
}

// unseen is a host that could not be observed. Where that is because of its engine, every one of the calls has failed for that, and
// which was the first is chance.
func unseen(name string, old state.Host, err error) state.Host {
	host := state.Host{Name: name, Unreachable: why(err, name), Intents: old.Intents}
	var engine *state.EngineError
	if errors.As(err, &engine) {
		host.NoEngine, host.Unreachable = engine.Trouble, why(engine, name)
	}
	return host
}

// unreachable gives the hosts that could not be observed.
func unreachable(snapshot state.Snapshot) []state.Host {
	return slices.DeleteFunc(slices.Clone(snapshot.Hosts), func(h state.Host) bool { return h.Unreachable == "" })
}

// why is an error's text for a place that names the host already.
func why(err error, host string) string {
	text := strings.TrimPrefix(err.Error(), host+": ")
	return strings.TrimPrefix(strings.TrimPrefix(text, "connect: "), host+": ")
}

// look is one observation of one host under way.
type look struct {
	conn    *Connection
	desired release.Release
	on      release.Host
	paths   layout
	old     state.Host
	records *sameRecord

	mark  fenceMark
	host  state.Host
	key   digestKey
	notes sync.Map                             // name of a certificate → its certificateNote
	envs  map[string]map[string]release.Secret // role → values; they live as long as the look

	accessories accessoryLook
	besides     map[string]bool // IDs of containers of accessories
}

// observeHost takes two dependent rounds: everything that needs no answer first, then what those answers name. What names
// nothing runs beside both.
func observeHost(ctx context.Context, fleet *Fleet, desired release.Release, on release.Host, old state.Host, records *sameRecord) (state.Host, digestKey, error) {
	conn, err := fleet.Connection(ctx, on)
	if err != nil {
		return state.Host{}, digestKey{}, err
	}
	l := &look{conn: conn, desired: desired, on: on, paths: layoutOf(desired), old: old, records: records, envs: map[string]map[string]release.Secret{}}
	l.host = state.Host{Name: on.Name, FreeBytes: -1}
	group, grouped := crewWithin(ctx)
	l.beside(grouped, group)
	group.Go(func() error {
		if err := l.first(grouped); err != nil {
			return err
		}
		return l.second(grouped)
	})
	if err := group.Wait(); err != nil {
		return state.Host{}, digestKey{}, err
	}
	if err := l.leftAccessories(ctx); err != nil {
		return state.Host{}, digestKey{}, err
	}
	l.digestEnvFiles()
	l.digestContents()
	l.key.markAll(&l.host)
	return l.host, l.key, nil
}

// first asks all that depends on nothing and that the second round needs.
func (l *look) first(ctx context.Context) error {
	group, ctx := crewWithin(ctx)
	engine, files := l.conn.Engine, l.conn.Files
	group.Go(func() (err error) {
		l.host.Containers, err = engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: l.desired.Service}})
		return
	})
	group.Go(func() (err error) { l.host.Images, err = engine.Images(ctx, l.desired.ImageName()); return })
	group.Go(func() (err error) { l.host.Home, err = files.Home(ctx); return })
	l.observeAccessories(ctx, group)
	group.Go(func() (err error) {
		l.key.key, err = files.Read(ctx, l.paths.key())
		if len(l.key.key) == 0 {
			l.key = passingKey()
		}
		return unless(err, fs.ErrNotExist)
	})
	return group.Wait()
}

// beside asks what nothing else waits for.
func (l *look) beside(ctx context.Context, group crew) {
	engine, files := l.conn.Engine, l.conn.Files
	server := l.desired.ProxyServer
	group.Go(func() error { return l.engine(ctx) })
	group.Go(func() (err error) { l.host.Networks, err = engine.Networks(ctx); return })
	l.observeProxy(ctx, group, server)
	group.Go(func() (err error) { l.host.Lock, _, err = findLock(ctx, files, l.paths); return })
	group.Go(func() error { return l.newest(ctx) })
	group.Go(func() error { return l.intents(ctx) })
	if names := l.desired.HostVariables(l.on); len(names) > 0 {
		group.Go(func() (err error) { l.host.Environ, err = l.conn.Environ.Variables(ctx, names); return })
	}
	l.listAssets(ctx, group)
	l.listPages(ctx, group)
	l.readEnvFiles(ctx, group)
	l.readCertificates(ctx, group)
}

func (l *look) fence(ctx context.Context) error {
	data, err := l.conn.Files.Read(ctx, l.paths.fence())
	if err := unless(err, fs.ErrNotExist); err != nil || len(data) == 0 {
		return err
	}
	l.mark, err = parseFence(data)
	l.host.Fence, l.host.FenceVersion = l.mark.number, l.mark.version
	if err != nil {
		return fmt.Errorf("%s on %s is not a number: %w; nobody but kamald writes it: remove it if it is damaged", l.paths.fence(), l.on.Name, err)
	}
	return nil
}

// listRecords gives the numbers of the records on the host, sorted.
func (l *look) listRecords(ctx context.Context) ([]int, error) {
	names, err := l.conn.Files.List(ctx, l.paths.records())
	return numbered(names), err
}

// readEnvFiles reads the secrets files of the roles on the host; their values become digests and are dropped.
func (l *look) readEnvFiles(ctx context.Context, group crew) {
	for _, role := range l.desired.Tenants() {
		if !slices.Contains(role.Hosts, l.on.Name) || len(l.desired.EnvOn(role, l.on).Secrets) == 0 {
			continue
		}
		values := map[string]release.Secret{}
		l.envs[role.Name] = values
		group.Go(func() error {
			read, err := readEnv(ctx, l.conn.Files, l.paths, role.Name)
			for name, value := range read {
				values[name] = value
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
	}
}

// second asks what the first answers name: the containers that matter, and their images.
func (l *look) second(ctx context.Context) error {
	group, ctx := crewWithin(ctx)
	l.host.RunDir = absolute(l.host.Home, l.desired.RunDirectory)
	l.mergeAccessories()
	images := l.imagesThatMatter() // before the containers are written over
	for i, c := range l.host.Containers {
		if l.matters(c) {
			group.Go(func() error {
				inspected, err := l.conn.Engine.Inspect(ctx, c.ID, l.view(c))
				if errors.Is(err, state.ErrNotFound) {
					return nil // it went between the two rounds; the list's word stands until the next look
				}
				l.host.Containers[i] = inspected
				return err
			})
		}
	}
	for i, image := range l.host.Images {
		if images[image.ID] {
			group.Go(func() error {
				inspected, err := l.conn.Engine.Image(ctx, image.ID)
				if errors.Is(err, state.ErrNotFound) {
					return nil
				}
				inspected.Tags, inspected.Digests = image.Tags, image.Digests
				l.host.Images[i] = inspected
				return err
			})
		}
		if slices.Contains(image.Tags, l.desired.ImageName()+":"+l.desired.App().LatestTag()) {
			l.host.Latest = image.ID
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	l.host.Containers = slices.DeleteFunc(l.host.Containers, func(c state.Container) bool { return c.ID == "" })
	return nil
}

// matters: containers of this app that run, or that bear the wanted version.
func (l *look) matters(c state.Container) bool {
	app := l.desired.App()
	if l.besides[c.ID] {
		return true
	}
	if c.Destination != app.Destination || c.Service != app.Service || c.Role == "" {
		return false
	}
	return c.Status != state.StatusExited || c.Name == app.ContainerName(c.Role, l.desired.Version)
}

// imagesThatMatter are the wanted one, and those of containers that matter.
func (l *look) imagesThatMatter() map[string]bool {
	ids := map[string]bool{}
	for _, image := range l.host.Images {
		if slices.Contains(image.Tags, l.desired.Image()) {
			ids[image.ID] = true
		}
	}
	for _, c := range l.host.Containers {
		if l.matters(c) {
			ids[c.ImageID] = true
		}
	}
	return ids
}

// view says which variables of a container may keep their values: those that the desired release has in clear.
func (l *look) view(c state.Container) state.View {
	var options map[string][]string
	clear := map[string]bool{"KAMAL_CONTAINER_NAME": true, "KAMAL_VERSION": true, "KAMAL_HOST": true, "KAMAL_DESTINATION": true}
	if role, ok := l.roleOf(c); ok {
		options = role.Options
		env := l.desired.EnvOn(role, l.on)
		for name := range env.Clear {
			clear[name] = true
		}
		for name := range env.FromHost {
			clear[name] = true
		}
	}
	return state.View{Key: l.key.key, Clear: clear, Options: options}
}

// newest reads the fence and finds the newest record of a release that succeeded. A release writes its number as the fence
// before it writes its record, so no record is newer than the fence: mostly the known one is the newest, or the fence's own.
func (l *look) newest(ctx context.Context) error {
	known := l.old.Record
	if known != nil && known.Outcome != state.OutcomeSucceeded {
		known = nil
	}
	there := false
	group, grouped := crewWithin(ctx)
	group.Go(func() error { return l.fence(grouped) })
	if known != nil {
		group.Go(func() error {
			_, err := l.conn.Files.Modified(grouped, l.paths.record(known.Number))
			there = err == nil
			return unless(err, fs.ErrNotExist)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	there = there && l.mark.covers(*known)
	if there && known.Number == l.host.Fence {
		l.host.Record = known
		return nil
	}
	if l.host.Fence > 0 && !l.knownPartial(l.host.Fence) {
		if found, err := l.readSucceeded(ctx, l.host.Fence); found || err != nil {
			return err
		}
	}
	return l.searchRecords(ctx)
}

// searchRecords reads release records from the newest down to the first that succeeded, of those not known yet.
func (l *look) searchRecords(ctx context.Context) error {
	numbers, err := l.listRecords(ctx)
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(numbers) {
		if old := l.old.Record; old != nil && old.Number == n && old.Outcome == state.OutcomeSucceeded && l.mark.covers(*old) {
			l.host.Record = l.old.Record
			return nil
		}
		if n == l.host.Fence || l.knownPartial(n) {
			continue // read already
		}
		if found, err := l.readSucceeded(ctx, n); found || err != nil {
			return err
		}
	}
	return nil
}

// readSucceeded takes a record when it is there and of a release that succeeded.
func (l *look) readSucceeded(ctx context.Context, n int) (bool, error) {
	data, err := l.conn.Files.Read(ctx, l.paths.record(n))
	if err != nil {
		return false, unless(err, fs.ErrNotExist)
	}
	record, err := l.records.parse(data, l.paths, n)
	if err == nil && record.Outcome == state.OutcomePartial {
		l.notePartial(*record)
	}
	if err != nil || record.Outcome != state.OutcomeSucceeded {
		return false, err
	}
	l.host.Record = record
	return true, nil
}

// digestEnvFiles keeps of the secrets files names and digests.
func (l *look) digestEnvFiles() {
	for _, role := range l.desired.Tenants() {
		for _, name := range []string{role.Name, state.CertificateName(role.Name)} {
			values, ok := l.envs[name]
			if !ok || len(values) == 0 {
				continue
			}
			file := state.EnvFile{Role: name, Digests: map[string]string{}}
			if note, ok := l.notes.Load(name); ok {
				file.Private, file.Pending = note.(certificateNote).Private, note.(certificateNote).Pending
			}
			for variable, value := range values {
				file.Digests[variable] = state.SecretDigest(l.key.key, value.Reveal())
			}
			l.host.EnvFiles = append(l.host.EnvFiles, file)
		}
	}
}

// unless drops an error that is one of those expected.
func unless(err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
