package traefik

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kamald/kamald/state"
)

const (
	extension    = ".yml"
	catchAllName = "kamald-catch-all" + extension
	askPath      = "/kamald"
	unavailable  = "kamald-unavailable" // the service of what no route takes
	// header begins the first line of a route's file, a comment to Traefik, which refuses fields that it does not know.
	header = "# kamald "
)

// record is what the first line of a file keeps: all of the route, as far as Traefik has no place for it too.
type record struct {
	Route state.Route `json:"route"`
	Mark  string      `json:"mark"` // the path at which Traefik answers once it serves by this very file
}

// The parts of a dynamic configuration that are used, in the words that versions 2.11 and 3 have in common.
type (
	document struct {
		HTTP httpPart `json:"http"`
		TLS  *tlsPart `json:"tls,omitempty"`
	}
	httpPart struct {
		Routers           map[string]router           `json:"routers"`
		Services          map[string]service          `json:"services,omitempty"`
		Middlewares       map[string]middleware       `json:"middlewares,omitempty"`
		ServersTransports map[string]serversTransport `json:"serversTransports,omitempty"`
	}
	router struct {
		EntryPoints []string   `json:"entryPoints"`
		Rule        string     `json:"rule"`
		Priority    int        `json:"priority"`
		Service     string     `json:"service"`
		Middlewares []string   `json:"middlewares,omitempty"`
		TLS         *routerTLS `json:"tls,omitempty"`
	}
	routerTLS struct {
		CertResolver string `json:"certResolver,omitempty"`
	}
	service struct {
		LoadBalancer loadBalancer `json:"loadBalancer"`
	}
	loadBalancer struct {
		Servers          []server     `json:"servers"`
		HealthCheck      *healthCheck `json:"healthCheck,omitempty"`
		ServersTransport string       `json:"serversTransport,omitempty"`
	}
	server struct {
		URL string `json:"url"`
	}
	healthCheck struct {
		Path            string `json:"path"`
		Port            int    `json:"port,omitempty"`
		Hostname        string `json:"hostname,omitempty"`
		Interval        string `json:"interval"`
		Timeout         string `json:"timeout"`
		FollowRedirects bool   `json:"followRedirects"`
	}
	serversTransport struct {
		ForwardingTimeouts forwardingTimeouts `json:"forwardingTimeouts"`
	}
	forwardingTimeouts struct {
		ResponseHeaderTimeout string `json:"responseHeaderTimeout"`
	}
	middleware struct {
		StripPrefix    *stripPrefix    `json:"stripPrefix,omitempty"`
		RedirectScheme *redirectScheme `json:"redirectScheme,omitempty"`
		Buffering      *buffering      `json:"buffering,omitempty"`
	}
	stripPrefix struct {
		Prefixes []string `json:"prefixes"`
	}
	redirectScheme struct {
		Scheme    string `json:"scheme"`
		Permanent bool   `json:"permanent"`
	}
	buffering struct {
		MaxRequestBodyBytes  int64 `json:"maxRequestBodyBytes,omitempty"`
		MemRequestBodyBytes  int64 `json:"memRequestBodyBytes,omitempty"`
		MaxResponseBodyBytes int64 `json:"maxResponseBodyBytes,omitempty"`
		MemResponseBodyBytes int64 `json:"memResponseBodyBytes,omitempty"`
	}
	tlsPart struct {
		Certificates []certificate `json:"certificates"`
	}
	certificate struct {
		CertFile string `json:"certFile"`
		KeyFile  string `json:"keyFile"`
	}
)

// catchAll is the file of every Traefik: 502 for what no route takes, and the place where it is asked whether it has read it.
func catchAll() []byte {
	nowhere := router{EntryPoints: []string{state.TraefikHTTP}, Rule: "PathPrefix(`/`)", Priority: priorityCatchAll, Service: unavailable}
	secure := nowhere
	secure.EntryPoints, secure.TLS = []string{state.TraefikHTTPS}, &routerTLS{}
	data, err := encode(document{HTTP: httpPart{
		Routers: map[string]router{"kamald-catch-all": nowhere, "kamald-catch-all-secure": secure, "kamald-ask": asked(askPath)},
		// Nothing can listen on port 0. A service without servers would be answered 503, which says "stopped on purpose".
		Services: map[string]service{unavailable: {loadBalancer{Servers: []server{{"http://127.0.0.1:0"}}}}},
	}})
	if err != nil {
		panic(fmt.Sprintf("traefik: the catch-all always encodes: %v", err))
	}
	return append([]byte("# Written by kamald: what no other file routes is answered 502.\n"), data...)
}

// asked answers 200 to questions of kamald's at a path.
func asked(path string) router {
	return router{EntryPoints: []string{state.TraefikAsk}, Rule: "Path(`" + path + "`)", Priority: priorityBase, Service: "ping@internal"}
}

// render writes a route's file. The same route gives the same bytes; mark is the path that answers once Traefik serves by them.
func render(route state.Route, major int) (data []byte, mark string, err error) {
	route.Options, route.Implied = canonical(route.Options), false
	body := routed(route, major)
	content, err := json.Marshal(struct {
		Route state.Route
		Body  document
	}{route, body})
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(content)
	mark = askPath + "/" + route.Name + "/" + hex.EncodeToString(sum[:8])
	body.HTTP.Routers[route.Name+"-kamald"] = asked(mark)
	kept, err := json.Marshal(record{route, mark})
	if err != nil {
		return nil, "", err
	}
	text, err := encode(body)
	if err != nil {
		return nil, "", err
	}
	data = []byte(header + string(plain(kept)) + "\n" + string(text))
	if bytes.Contains(data, []byte("{{")) { // Traefik runs templates in these files
		return nil, "", errors.New("something in it has two braces in a row, which Traefik would take for a template")
	}
	return data, mark, nil
}

// parse reads a file back; ours is false for one that kamald did not write.
func parse(data []byte) (kept record, ours bool, err error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	text, ours := bytes.CutPrefix(line, []byte(header))
	if !ours || !bytes.HasPrefix(text, []byte("{")) {
		return record{}, false, nil
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		return record{}, true, err
	}
	if kept.Route.Name == "" {
		return record{}, true, errors.New("the route in it has no name")
	}
	return kept, true, nil
}

// routed is a route in Traefik's words: one router for each host, path and entry point, one service.
func routed(route state.Route, major int) document {
	o := route.Options
	part := httpPart{Routers: map[string]router{}, Services: map[string]service{route.Name: {balanced(route)}}, Middlewares: map[string]middleware{}}
	if o.ResponseTimeout > 0 {
		part.ServersTransports = map[string]serversTransport{route.Name: {forwardingTimeouts{o.ResponseTimeout.String()}}}
	}
	for i, p := range pairs(o) {
		rule := p.rule(major)
		plain := router{EntryPoints: []string{state.TraefikHTTP}, Rule: rule, Priority: p.priority(rule), Service: route.Name,
			Middlewares: through(part.Middlewares, route, p, i)}
		name := route.Name + "-" + strconv.Itoa(i)
		if o.TLS {
			secure := plain
			secure.EntryPoints, secure.TLS = []string{state.TraefikHTTPS}, &routerTLS{}
			if o.CertificatePath == "" {
				secure.TLS.CertResolver = state.TraefikResolver
			}
			part.Routers[name+"-secure"] = secure
			if o.TLSRedirect {
				part.Middlewares[route.Name+"-redirect"] = middleware{RedirectScheme: &redirectScheme{Scheme: "https", Permanent: true}}
				plain.Middlewares = []string{route.Name + "-redirect"}
			}
		}
		part.Routers[name] = plain
	}
	doc := document{HTTP: part}
	if o.TLS && o.CertificatePath != "" {
		doc.TLS = &tlsPart{Certificates: []certificate{{o.CertificatePath, o.PrivateKeyPath}}}
	}
	return doc
}

// through names what a request of one pair goes through on its way, and makes it.
func through(made map[string]middleware, route state.Route, p pair, i int) []string {
	var names []string
	o := route.Options
	if o.StripPathPrefix && p.path != "/" {
		name := route.Name + "-strip-" + strconv.Itoa(i)
		made[name] = middleware{StripPrefix: &stripPrefix{Prefixes: []string{p.path}}}
		names = append(names, name)
	}
	if o.BufferRequests && o.BufferResponses {
		name := route.Name + "-buffer"
		made[name] = middleware{Buffering: &buffering{MaxRequestBodyBytes: o.MaxRequestBody, MemRequestBodyBytes: o.BufferMemory,
			MaxResponseBodyBytes: o.MaxResponseBody, MemResponseBodyBytes: o.BufferMemory}}
		names = append(names, name)
	}
	return names
}

// balanced is where the requests go. A single server is not checked: taking the only one away answers 503 where it may be slow for
// a moment, and one that is gone is answered 502 by itself. A stopped route has no server, which is answered 503.
func balanced(route state.Route) loadBalancer {
	o, all := route.Options, []server{}
	for _, target := range route.Targets {
		if !route.Stopped {
			all = append(all, server{"http://" + target})
		}
	}
	b := loadBalancer{Servers: all}
	if o.ResponseTimeout > 0 {
		b.ServersTransport = route.Name
	}
	if len(all) > 1 {
		b.HealthCheck = &healthCheck{Path: o.HealthPath, Port: o.HealthPort, Hostname: o.HealthHost,
			Interval: o.HealthInterval.String(), Timeout: o.HealthTimeout.String(), FollowRedirects: true}
	}
	return b
}

// encode writes JSON, which is YAML too, without the escapes that browsers need.
func encode(doc document) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(doc)
	return plain(out.Bytes()), err
}

// plain writes letters beyond ASCII as escapes: some of it ends a line of YAML, also one that is a comment.
func plain(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff: // JSON would take two escapes for it, which YAML does not
			out = utf8.AppendRune(out, r)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func fileName(route string) string { return route + extension }

func isRouteFile(name string) bool {
	return strings.HasSuffix(name, extension) && !strings.HasPrefix(name, ".") && name != catchAllName
}
