package proxy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// writerCookie makes a client's reads go to the writers for a while after it wrote. Its value is the end of that
	// in Unix milliseconds, as in kamal-proxy.
	writerCookie = "kamal-writer"
	// affinityHeader of an answer says with "false" that what was done needs no affinity.
	affinityHeader = "X-Writer-Affinity"
)

// The sides of a rollout, by which metrics are labelled.
const (
	sideActive  = "active"
	sideRollout = "rollout"
)

// selection is what the choice of a target needs to know of a request, and what it has come to so far. A request that
// is tried on a second target keeps what was decided for the first.
type selection struct {
	request *http.Request
	tried   []*target    // could not be connected
	sticky  *http.Cookie // to be set with the answer, so that the client stays on its side of the rollout
}

// reads says whether the request may be given to a reader.
func (s *selection) reads(o ServiceOptions) bool {
	r := s.request
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if isWebsocket(r) && !o.ReadTargetsAcceptWebsockets {
		return false
	}
	return !hasWritten(r, o.WriterAffinityTimeout)
}

// choose returns a target that was not tried, and its side of the rollout. What is selected for the rollout goes to
// the active targets when no target of the rollout is healthy, but never the other way round.
func (s *selection) choose(dep *deployment, ro *rollout) (t *target, d *deployment, side string) {
	read := (dep.pool.hasReaders() || ro != nil && ro.dep.pool.hasReaders()) && s.reads(dep.options)
	selected := ro.selects(s, dep)
	if selected {
		if t := ro.dep.pool.chooseHealthy(read, s.tried); t != nil {
			return t, ro.dep, sideRollout
		}
	}
	if t := dep.pool.chooseHealthy(read, s.tried); t != nil {
		return t, dep, sideActive
	}
	if t := dep.pool.chooseAny(read, s.tried); t != nil {
		return t, dep, sideActive
	}
	if selected {
		if t := ro.dep.pool.chooseAny(read, s.tried); t != nil {
			return t, ro.dep, sideRollout
		}
	}
	return nil, dep, sideActive
}

// mark sets the cookies that keep the client on the writers after a write, and on its side of a rollout.
func (s *selection) mark(resp *http.Response, t *target, o ServiceOptions) {
	if t.pool.hasReaders() {
		optedOut := resp.Header.Get(affinityHeader) == "false"
		resp.Header.Del(affinityHeader)
		if !optedOut && o.WriterAffinityTimeout > 0 && writes(s.request.Method) {
			resp.Header.Add("Set-Cookie", newWriterCookie(o.WriterAffinityTimeout).String())
		}
	}
	if s.sticky != nil && !isShared(resp) {
		resp.Header.Add("Set-Cookie", s.sticky.String())
	}
}

func writes(method string) bool {
	return !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, method)
}

func newWriterCookie(lasts time.Duration) *http.Cookie {
	end := time.Now().Add(lasts)
	return &http.Cookie{
		Name: writerCookie, Value: strconv.FormatInt(end.UnixMilli(), 10), Path: "/", HttpOnly: true,
		Expires: end.Add(time.Second), // the value decides; a client's clock may be a little off
	}
}

// hasWritten says whether the writer cookie is fresh. One that ends later than any that could have been set by now is
// made up, and does not count.
func hasWritten(r *http.Request, lasts time.Duration) bool {
	cookie, err := r.Cookie(writerCookie)
	if err != nil {
		return false
	}
	end, err := strconv.ParseInt(cookie.Value, 10, 64)
	if err != nil {
		return false
	}
	left := time.Until(time.UnixMilli(end))
	return left > 0 && left <= lasts+time.Second // another host's clock may be a little ahead
}

func isWebsocket(r *http.Request) bool {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	return strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Connection"), ",")), "upgrade")
}

// isShared tells an answer that caches between us and the client may give to other clients, with its cookies.
func isShared(resp *http.Response) bool {
	control := strings.ToLower(strings.Join(resp.Header.Values("Cache-Control"), ","))
	return strings.Contains(control, "public") || strings.Contains(control, "s-maxage")
}
