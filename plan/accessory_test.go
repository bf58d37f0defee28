package plan_test

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// redis is an accessory on the workers' host.
func redis(image, change string) release.Accessory {
	return release.Accessory{Name: "redis", Service: "shop-redis", Image: image, Hosts: []string{"work-1"}, Network: "kamal", Restart: "unless-stopped",
		Env: release.Env{Clear: map[string]string{"TZ": "UTC"}, Secrets: map[string]string{"TOKEN": "TOKEN"}}, Stop: release.Stop{Grace: 10 * time.Second},
		Volumes: []string{"sockets:/run/redis"}, OnChange: change,
		Files:       []release.Placed{{Path: "./shop-redis/etc/redis.conf", To: "/etc/redis.conf", Mode: "0640", Owner: "33:33", Content: []release.Part{{Text: "maxmemory 1gb\n"}}}},
		Directories: []release.Placed{{Path: "./shop-redis/data", To: "/data", Mode: "0755"}}}
}

// beside is the shop with the accessory.
func besideShop(image, change string) release.Release {
	desired := shop()
	desired.Accessories = []release.Accessory{redis(image, change)}
	return desired
}

// furnish does what a host needs before an accessory is made.
func (w *world) furnish(h *state.Host, s plan.Step) error {
	name, _ := state.AccessoryOf(s.Role)
	a, ok := w.desired.Accessory(name)
	if !ok {
		return errors.New("there is no such accessory")
	}
	if s.Kind == plan.StepPull {
		if _, there := h.Beside(s.Name); !there {
			h.AccessoryImages = append(h.AccessoryImages, besideImage(s.Name))
		}
		return nil
	}
	lying := state.EnvFile{Role: state.FilesName(s.Role), Digests: map[string]string{}}
	if before, there := h.EnvFile(lying.Role); there {
		lying = before
	}
	if lying.Digests == nil {
		lying.Digests = map[string]string{}
	}
	lying.Files = maps.Clone(lying.Files)
	for _, placed := range slices.Concat(a.Files, a.Directories) {
		if !slices.Contains(s.Paths, placed.To) {
			continue
		}
		if content, clear := placed.Clear(); clear && s.Kind == plan.StepPlace && placed.Content != nil {
			lying.Digests[placed.To] = release.FileDigest(content)
		}
		if lying.Files == nil {
			lying.Files = map[string]state.File{}
		}
		lying.Files[placed.To] = state.File{Mode: placed.Mode, Owner: cmp.Or(placed.Owner, "0:0")}
	}
	h.EnvFiles = append(slices.DeleteFunc(h.EnvFiles, func(f state.EnvFile) bool { return f.Role == lying.Role }), lying)
	return nil
}

func besideImage(ref string) state.Image {
	return state.Image{ID: "sha256:" + id("image", ref), Tags: []string{ref}, Inspected: true, Env: map[string]string{"PATH": "/bin"}, Cmd: []string{"/app"}}
}

// anyBeside draws a shop that runs, and an accessory beside it in any state, left behind by anybody.
func anyBeside(t *rapid.T, ready func(image, change string) *world) *world {
	w := ready(pick(t, "ran", "redis:7", "redis:8"), release.OnChangeRecreate)
	h := w.host("work-1")
	at := slices.IndexFunc(h.Containers, func(c state.Container) bool { return c.Name == "shop-redis" })
	c := &h.Containers[at]
	switch rapid.IntRange(0, 10).Draw(t, "disturbance") {
	case 0:
		h.Containers = slices.Delete(h.Containers, at, at+1)
	case 1:
		c.Status = pick(t, "status", state.StatusExited, state.StatusCreated, state.StatusPaused, state.StatusRestarting, state.StatusDead)
	case 2:
		c.Live.Options = map[string][]string{"memory": {"268435456"}}
	case 3:
		c.Asked, c.Release, c.Accessory = nil, 0, "" // Kamal made it
	case 4:
		c.Name = state.ReplacedName(c.Name, c.ID) // a run was killed before the next was made
	case 5:
		old := w.make("work-1", "shop-redis_replaced_0123456789abcdef", *c.Asked, pick(t, "old", state.StatusExited, state.StatusRunning), c.ImageID)
		old.Accessory = "shop/redis"
	case 6:
		c.IPs = map[string]string{}
	case 7:
		lying, _ := h.EnvFile(state.FilesName("accessory/redis"))
		delete(lying.Digests, "/etc/redis.conf")
		w.lying(map[string]state.File{})
	case 9:
		w.lying(map[string]state.File{"/etc/redis.conf": {Mode: pick(t, "mode", "0600", "0640"), Owner: pick(t, "owner", "0:0", "33:33")},
			"/data": {Mode: "0700", Owner: pick(t, "directory's", "0:0", "33:33")}})
	case 8:
		c.Live.Env["TZ"], c.Health = "CET", pick(t, "health", "", "unhealthy")
	}
	if rapid.IntRange(0, 3).Draw(t, "stopped on purpose") == 0 {
		h.Intents = []state.Intent{{Kind: state.IntentAccessoryStop, Host: "work-1", Role: "accessory/redis", Serial: 1, Who: "ana"}}
	}
	w.desired.Accessories = []release.Accessory{redis(pick(t, "wanted", "redis:7", "redis:8"), pick(t, "on_change", release.OnChangePlan, release.OnChangeRecreate, release.OnChangeIgnore))}
	if rapid.IntRange(0, 5).Draw(t, "left") == 0 {
		w.desired.Accessories = nil
	}
	w.desired.Version = pick(t, "version", "v1", "v2")
	w.pin = pinOf(w.desired, w.desired.Version)
	return w
}

// lying says how the accessory's files lie on their host.
func (w *world) lying(files map[string]state.File) {
	h := w.host("work-1")
	i := slices.IndexFunc(h.EnvFiles, func(f state.EnvFile) bool { return f.Role == state.FilesName("accessory/redis") })
	h.EnvFiles[i].Files = files
}

// releasedBeside gives shops that run with an accessory, made once each.
func releasedBeside(t *testing.T) func(image, change string) *world {
	made := map[string]*world{}
	return func(image, change string) *world {
		if made[image+change] == nil {
			made[image+change] = released(t, besideShop(image, change))
		}
		return made[image+change].clone()
	}
}

func TestAPlanWithAnAccessoryThatWasCarriedOutLeavesAnEmptyOne(t *testing.T) {
	ready := releasedBeside(t)
	rapid.Check(t, func(t *rapid.T) {
		w := anyBeside(t, ready)
		w.options = plan.Options{Heal: rapid.Bool().Draw(t, "heal")}
		p := w.plan()
		if len(p.Problems) > 0 {
			t.Fatalf("it cannot be carried out: %s", show(p))
		}
		after := w.clone()
		if err := after.carryOut(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") }); err != nil {
			t.Fatalf("%v\n%s", err, show(p))
		}
		if next := after.plan(); !next.Empty() {
			t.Fatalf("not empty: %s\nafter: %s", show(next), show(p))
		}
		for _, broken := range besideLaws(w, p) {
			t.Fatalf("%s\n%s", broken, show(p))
		}
	})
}

// besideLaws are what any plan keeps of an accessory.
func besideLaws(w *world, p plan.Plan) (broken []string) {
	g := graphOf(p)
	h := w.host("work-1")
	intent, asked := h.StopAsked("accessory/redis")
	for _, s := range p.Steps {
		if s.Role != "accessory/redis" {
			continue
		}
		c := w.container(s.Host, s.Container)
		switch {
		case s.Kind == plan.StepRemove && c.Running() && !slices.ContainsFunc(p.Steps, func(o plan.Step) bool { return o.Kind == plan.StepStop && o.Container == s.Container }):
			broken = append(broken, s.ID+" removes what runs")
		case (s.Kind == plan.StepStart || s.Kind == plan.StepCreate) && asked && !intent.Lifted && len(w.desired.Accessories) > 0:
			broken = append(broken, s.ID+" starts what was stopped on purpose")
		case w.options.Heal && s.Kind == plan.StepRename && c != nil && c.Name == "shop-redis" && c.Status != state.StatusDead:
			broken = append(broken, s.ID+" makes another container to heal")
		case s.Kind == plan.StepStart && c == nil: // of a new one: the old has to be away
			for _, stop := range p.Steps {
				if stop.Kind == plan.StepStop && stop.Role == s.Role && !g.after(s.ID)[stop.ID] {
					broken = append(broken, s.ID+" does not wait for "+stop.ID)
				}
			}
		}
		for _, other := range p.Steps {
			_, beside := state.AccessoryOf(other.Role)
			if other.Kind == plan.StepCreate && !beside && s.Kind == plan.StepProve && p.Kind != plan.KindHeal && !g.after(other.ID)[s.ID] {
				broken = append(broken, other.ID+" does not wait for "+s.ID)
			}
		}
	}
	return broken
}

func TestAnAccessoryOfAnotherAppIsNotTouched(t *testing.T) {
	w := released(t, besideShop("redis:7", release.OnChangeRecreate))
	w.container("work-1", "shop-redis").Accessory = "blog/redis"
	p := w.plan()
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "blog/redis") {
		t.Errorf("%s", show(p))
	}
	w.desired.Accessories[0].Shared = true
	if p := w.plan(); !p.Empty() {
		t.Errorf("shared: %s", show(p))
	}
	w.desired.Accessories = nil
	if p := w.plan(); !p.Empty() {
		t.Errorf("after it left the file: %s", show(p))
	}
	if class := plan.Classify(w.desired, *w.host("work-1"), *w.container("work-1", "shop-redis")); class != plan.Foreign {
		t.Errorf("its class is %s", class)
	}
}

func TestAnAccessorysFileThatIsNotThereIsAProblem(t *testing.T) {
	w := fresh(besideShop("redis:7", release.OnChangePlan))
	w.desired.Accessories[0].Files[0].Missing = "there is no file redis.conf"
	if p := w.plan(); len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "redis.conf") {
		t.Errorf("%s", show(p))
	}
}

func TestAccessoriesAloneTouchNothingElse(t *testing.T) {
	w := released(t, besideShop("redis:7", release.OnChangePlan)).to("v2")
	w.desired.Accessories[0].Image = "redis:8"
	w.options = plan.Options{Accessories: []string{"redis"}, Boot: true}
	if p := w.plan(); !p.Empty() {
		t.Errorf("boot replaces: %s", show(p))
	}
	w.desired.Accessories[0].OnChange = release.OnChangeRecreate
	if p := w.plan(); !p.Empty() || !slices.ContainsFunc(p.Items, func(i plan.Item) bool { return strings.Contains(i.Deferred, "`kamald accessory boot` leaves") }) {
		t.Errorf("boot replaces what an apply would: %s", show(p))
	}
	w.options.Boot, w.options.Reboot = false, true
	p := w.plan()
	for _, s := range p.Steps {
		if s.Role != "accessory/redis" && s.Kind != plan.StepGate {
			t.Errorf("%s", s.ID)
		}
	}
	if err := w.carryOut(p, inOrder); err != nil || p.Kind != plan.KindAccessory {
		t.Fatalf("%v %s", err, show(p))
	}
	if c := w.container("work-1", "shop-redis"); c == nil || c.Asked.Image != "redis:8" || c.Status != state.StatusRunning {
		t.Errorf("it is %+v", c)
	}
}

// A failure of one brings all others back: until then nothing of them may be gone.
func TestNoOldContainerGoesBeforeAllThatAreRebootedAreHealthy(t *testing.T) {
	desired := besideShop("redis:7", release.OnChangePlan)
	db := redis("redis:7", release.OnChangePlan)
	db.Name, db.Service, db.Hosts, db.Files, db.Directories = "db", "shop-db", []string{"web-1", "work-1"}, nil, nil
	desired.Accessories = append(desired.Accessories, db)
	w := released(t, desired)
	w.options = plan.Options{Accessories: []string{"redis", "db"}, Reboot: true}
	p := w.plan()
	g, removed := graphOf(p), 0
	for _, s := range p.Steps {
		if s.Kind != plan.StepRemove {
			continue
		}
		removed++
		for _, other := range []string{"work-1/accessory/redis", "work-1/accessory/db", "web-1/accessory/db"} {
			if !g.after(s.ID)["prove/"+other] {
				t.Errorf("%s does not wait for the proof of %s", s.ID, other)
			}
		}
	}
	if removed != 3 {
		t.Errorf("%s", show(p))
	}
	if err := w.carryOut(p, inOrder); err != nil {
		t.Error(err)
	}
}

func TestASavedPlanSaysWhichFileOfAnAccessoryMoved(t *testing.T) {
	w := released(t, besideShop("redis:7", release.OnChangeRecreate)).to("v2")
	saved := w.save()
	later := w.clone()
	lying, _ := later.host("work-1").EnvFile(state.FilesName("accessory/redis"))
	lying.Digests["/etc/redis.conf"] = "by hand"
	moves := saved.Moved(later.input().Observed)
	if !slices.ContainsFunc(moves, func(m plan.Move) bool { return strings.Contains(m.What, "/etc/redis.conf") }) {
		t.Errorf("it says %+v", moves)
	}
}
