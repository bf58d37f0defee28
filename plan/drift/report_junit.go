package drift

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// The report as Jenkins and GitLab read test results. A case has one failure, whatever the number of its findings: some readers take
// no second one.
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Time     string     `xml:"time,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// hostItself is the name of the case of what belongs to no role: proxy, images, tags, network.
const hostItself = "host"

// JUnit writes the report as a suite of tests: a case for each role on each host, which fails with its findings. A host that could not
// be looked at is an error.
func (r Report) JUnit(w io.Writer) error {
	suite := junitSuite{Name: line(r.App.String()), Time: "0", Timestamp: r.At.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{{"version", line(r.Version)}, {"against", line(r.Against)}}}
	places, at := r.everyPlace()
	for _, place := range places {
		c := r.junitCase(place.Host, place.Role)
		if found := at[place]; len(found) > 0 {
			c.Failure = failure(found)
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, host := range r.Unreachable {
		c := r.junitCase(host.Host, "")
		c.Error = &junitProblem{Message: line("unreachable: " + host.Reason), Type: "unreachable", Text: line(host.Reason)}
		suite.Errors++
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	all := junitSuites{Name: "kamald drift", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Time: "0", Suite: suite}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r Report) junitCase(host, role string) junitCase {
	if role == "" {
		role = hostItself
	}
	return junitCase{Class: line(r.App.String() + "." + host), Name: line(role), Time: "0"}
}

// failure says all that was found at one place, the worst first.
func failure(found []state.Finding) *junitProblem {
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(x, y state.Finding) int { return Worse(y.Severity, x.Severity) })
	var lines []string
	for _, f := range found {
		text := fmt.Sprintf("%s %s: %s: %s", line(f.Severity), line(f.Class), line(f.Name), line(f.Reason))
		if f.Event != "" {
			text += " (" + line(f.Event) + ")"
		}
		lines = append(lines, text+"; healing would: "+orDash(line(f.Heals)))
	}
	message := line(found[0].Class) + ": " + line(found[0].Name) + ": " + line(found[0].Reason)
	if len(found) > 1 {
		message += fmt.Sprintf(" (and %d more)", len(found)-1)
	}
	return &junitProblem{Message: message, Type: line(found[0].Class), Text: strings.Join(lines, "\n")}
}

// everyPlace gives the places that were looked at, and those of findings elsewhere: what left the file has findings, too. With them
// come the findings at each.
func (r Report) everyPlace() ([]Place, map[Place][]state.Finding) {
	all, at, known := slices.Clone(r.Places), map[Place][]state.Finding{}, map[Place]bool{}
	for _, place := range all {
		known[place] = true
	}
	for _, f := range r.Findings {
		place := Place{f.Host, f.Role}
		if !known[place] {
			all, known[place] = append(all, place), true
		}
		at[place] = append(at[place], f)
	}
	return all, at
}
