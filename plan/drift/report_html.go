package drift

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

//go:embed report.html
var pageText string

// page needs nothing but itself: no script, no font and no picture. A link to a host leaves only that host's findings.
var page = template.Must(template.New("report").Funcs(template.FuncMap{"line": line, "dash": orDash, "short": shortOf}).Parse(pageText))

type (
	pageView struct {
		Report
		Title, Counts, At, Next string
		Hosts                   []hostView
	}
	hostView struct {
		Name, Anchor, Worst string
		Findings            []findingView
	}
	findingView struct {
		state.Finding
		Age, SinceAt string
	}
)

// HTML writes the report as a page of its own.
func (r Report) HTML(w io.Writer) error {
	view := pageView{Report: r, Title: r.title(), Counts: r.counts(), At: r.At.UTC().Format("2006-01-02 15:04:05 MST")}
	if !r.Clean() {
		view.Next = r.next()
	}
	known := map[string]int{}
	add := func(host string) *hostView {
		i, there := known[host]
		if !there {
			i = len(view.Hosts)
			known[host] = i
			view.Hosts = append(view.Hosts, hostView{Name: line(host), Anchor: anchor(host)})
		}
		return &view.Hosts[i]
	}
	for _, place := range r.Places {
		add(place.Host)
	}
	for _, f := range r.Findings {
		h := add(f.Host)
		h.Findings = append(h.Findings, findingView{f, r.age(f), f.Since.UTC().Format(time.RFC3339)})
		if Worse(f.Severity, h.Worst) > 0 {
			h.Worst = f.Severity
		}
	}
	return page.Execute(w, view)
}

// anchor is a host's name as it may stand in an id and, as it is, in a link to that.
func anchor(host string) string {
	var b strings.Builder
	b.WriteString("host-")
	for _, c := range []byte(host) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// shortOf explains a class in a line; "" for one that is not known.
func shortOf(class string) string { return meanings[plan.DriftClass(class)].Short }
