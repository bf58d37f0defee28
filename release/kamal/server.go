package kamal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// server is what the source says of one host.
type server struct {
	name  string
	user  string
	port  string
	tags  []string
	place place
}

// hosts reads every role's hosts, writes a block for those of which there is something to say, and gives the roles' lists.
func (t *translation) hosts(p place) map[string]*value {
	servers := p.at("servers")
	lists := map[string]*value{}
	var known []*server
	switch {
	case t.lost(servers):
		lists["web"] = t.lostHosts(servers, "web")
	case !t.says(servers):
		return lists
	case !servers.mapping():
		lists["web"] = t.hostList(servers, "web", &known)
	default:
		t.opened[servers.node] = true
		for _, role := range servers.entries() {
			list := role
			if role.mapping() {
				list = role.at("hosts")
			}
			lists[role.name()] = t.hostList(list, role.name(), &known)
		}
	}
	for _, s := range known {
		t.host(s)
	}
	return lists
}

func (t *translation) host(s *server) {
	if len(s.tags) == 0 && s.user == "" && s.port == "" {
		return
	}
	b := t.root.child("host", s.name)
	t.root.find("host", s.name).origin = s.place.origin()
	if s.user != "" {
		b.set("user", raw(quote(s.user)))
	}
	if s.port != "" {
		b.set("port", raw(s.port))
	}
	if len(s.tags) > 0 {
		list := &value{kind: listValue}
		for _, tag := range s.tags {
			list.list = append(list.list, &field{value: raw(quote(tag))})
		}
		b.set("tags", list)
	}
	b.path = title("host", s.name)
}

// hostList reads a list of hosts; nil when there is none.
func (t *translation) hostList(p place, role string, known *[]*server) *value {
	switch {
	case t.lost(p):
		return t.lostHosts(p, role)
	case !t.says(p):
		return nil
	case p.scalar():
		return t.hostText(p, role, known)
	case p.mapping():
		t.drop(p, "Kamal takes a list of hosts here")
		return nil
	}
	list := &value{kind: listValue}
	for i, item := range p.items() {
		switch {
		case item.mapping():
			for _, e := range item.entries() {
				t.tagged(list, e, known)
			}
			if len(item.entries()) > 1 {
				t.report(item, Todo, "separate hosts", "Kamal takes one host an entry, with its tags; look whether this is what is meant")
			}
			t.opened[item.node] = true
		case item.open():
			t.openHost(list, item, role, i)
		case item.scalar():
			for _, name := range t.hostNames(item) {
				t.add(list, t.known(known, name, item), item)
			}
		default:
			t.drop(item, "Kamal takes a host here, or a host with its tags")
		}
		t.mark(item.node)
	}
	if len(list.list) == 1 && strings.HasPrefix(list.list[0].value.source, "split(") {
		return list.list[0].value
	}
	return list
}

// lostHosts stands for hosts that only a run of Ruby could list.
func (t *translation) lostHosts(p place, role string) *value {
	x := t.placeholder(p, "KAMAL_"+variable(role)+"_HOSTS", onlyRuby)
	return raw(`split(",", ` + x.source + ")")
}

// hostText is a list that Ruby computes, or hosts that stand in one text.
func (t *translation) hostText(p place, role string, known *[]*server) *value {
	if !p.open() {
		list := &value{kind: listValue}
		for _, name := range t.hostNames(p) {
			t.add(list, t.known(known, name, p), p)
		}
		return list
	}
	x := source(p, true)
	if x.why != "" {
		x = t.placeholder(p, "KAMAL_"+variable(role)+"_HOSTS", x.why)
		x.list, x.source = true, `split(",", `+x.source+")"
	}
	t.sayDifferent(p, x)
	t.translated(p, title("role", role)+".hosts")
	if x.list {
		return raw(x.source)
	}
	return &value{kind: listValue, list: []*field{{origin: p.origin(), value: raw(x.source)}}}
}

func (t *translation) openHost(list *value, p place, role string, i int) {
	x := source(p, true)
	if x.why != "" {
		x = t.placeholder(p, fmt.Sprintf("KAMAL_%s_HOST_%d", variable(role), i+1), x.why)
	}
	t.sayDifferent(p, x)
	list.list = append(list.list, &field{origin: p.origin(), comment: t.comment(p), value: raw(x.source)})
}

// tagged is the entry of a host with its tags.
func (t *translation) tagged(list *value, p place, known *[]*server) {
	for _, name := range t.hostNames(place{node: p.key, path: p.path, key: p.key}) {
		s := t.known(known, name, p)
		t.add(list, s, p)
		for _, tag := range p.oneOrMore() {
			if !tag.scalar() || tag.open() {
				t.report(tag, Todo, "no tag", "a tag is a name that is known here")
				continue
			}
			if !slices.Contains(s.tags, tag.text()) {
				s.tags = append(s.tags, tag.text())
			}
		}
	}
	t.translated(p, "host.tags")
}

// known finds or adds what is said of a host.
func (t *translation) known(all *[]*server, name string, p place) *server {
	s := server{place: p}
	if m := loginHost.FindStringSubmatch(name); m != nil && (m[1] != "" || m[3] != "") {
		s.user, name, s.port = m[1], m[2], m[3]
		t.changed(p, title("host", name), "a user and a port are attributes of the host; KAMAL_HOST is the name alone")
	}
	s.name = name
	if i := slices.IndexFunc(*all, func(o *server) bool { return o.name == name }); i >= 0 {
		return (*all)[i]
	}
	*all = append(*all, &s)
	return &s
}

var loginHost = regexp.MustCompile(`\A(?:([^@:\s]+)@)?([^@:\s]+)(?::([0-9]{1,5}))?\z`)

// add puts a host into a list, once: Kamal lists the same host twice to give it two tags.
func (t *translation) add(list *value, s *server, p place) {
	for _, e := range list.list {
		if e.value.source == quote(s.name) {
			t.report(p, Changed, s.name+" once", "the role lists it twice; its tags are put together")
			return
		}
	}
	t.mark(p.node)
	list.list = append(list.list, &field{origin: p.origin(), key: p.path, comment: t.comment(p), value: raw(quote(s.name))})
}

// hostNames splits what was written as one host and is several.
func (t *translation) hostNames(p place) []string {
	var names []string
	for name := range strings.SplitSeq(p.text(), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) > 1 {
		t.report(p, Todo, "separate hosts", "Kamal takes this for one host's name, which cannot be reached; they are separate hosts here")
	}
	if len(names) == 0 {
		t.drop(p, "a host has a name")
	}
	return names
}
