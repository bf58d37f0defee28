package drift

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
)

// The report as a static analysis result: SARIF 2.1.0. Only what is used of it.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifMessage `json:"shortDescription"`
		Full    sarifMessage `json:"fullDescription"`
		Help    sarifMessage `json:"help"`
		Default sarifLevel   `json:"defaultConfiguration"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		End           string              `json:"endTimeUtc"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
	sarifResult struct {
		Rule         string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]string `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name      string `json:"name"`
		Qualified string `json:"fullyQualifiedName"`
		Kind      string `json:"kind"`
	}
)

const sarifSchema = "https://json.schemastore.org/sarif-2.1.0.json"

// SARIFOptions are what a log says beside the report.
type SARIFOptions struct {
	File    string // that says what should run, as it was given: findings are shown at it
	Version string // of kamald
}

// sarifLevels has for each severity, and for each class that of its worst, the level of the format.
var sarifLevels = map[string]string{Critical: "error", Warning: "warning", Info: "note"}

// SARIF writes the report for a code scanner: a rule for each class, a result for each finding, at the file, with host and role as its
// logical location, and the finding's ID as its fingerprint.
func (r Report) SARIF(w io.Writer, opts SARIFOptions) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "kamald", Version: opts.Version}}, Automation: sarifAutomation{"kamald-drift/" + url.PathEscape(r.App.String()) + "/"},
		Invocations: []sarifInvocation{r.sarifInvocation()}, Results: []sarifResult{}}
	index := map[string]int{}
	for i, m := range Meanings() {
		index[string(m.Class)] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: string(m.Class), Short: sarifText(m.Short + "."), Full: sarifText(m.Text),
			Help: sarifText(m.Text + " Healing: " + m.Healing), Default: sarifLevel{sarifLevels[severity(plan.Item{}, m.Class)]}})
	}
	for _, f := range r.Findings {
		rule, known := index[f.Class]
		if !known { // a later kamald's, out of its store
			rule = -1
		}
		text := fmt.Sprintf("%s on %s: %s. Healing would: %s", line(f.Name), line(where(f.Host, f.Role)), line(f.Reason), orDash(line(f.Heals)))
		result := sarifResult{Rule: line(f.Class), RuleIndex: rule, Level: level(f.Severity), Message: sarifText(text),
			Locations:    []sarifLocation{{Physical: sarifPhysical{sarifArtifact{artifact(opts.File)}, sarifRegion{1}}, Logical: logical(f.Host, f.Role)}},
			Fingerprints: map[string]string{"kamaldFinding/v1": f.ID}}
		if f.Event != "" {
			result.Properties = map[string]string{"event": line(f.Event)}
		}
		run.Results = append(run.Results, result)
	}
	return indented(w, sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifInvocation says whether every host was looked at.
func (r Report) sarifInvocation() sarifInvocation {
	i := sarifInvocation{Successful: len(r.Unreachable) == 0, End: r.At.UTC().Format(time.RFC3339)}
	for _, host := range r.Unreachable {
		i.Notifications = append(i.Notifications, sarifNotification{"error", sarifText(line(host.Host) + ": unreachable: " + line(host.Reason))})
	}
	for _, g := range r.Gates {
		i.Notifications = append(i.Notifications, sarifNotification{"note", sarifText("on purpose: " + line(g.String()))})
	}
	return i
}

func level(severity string) string {
	if l, known := sarifLevels[severity]; known {
		return l
	}
	return "warning"
}

func logical(host, role string) []sarifLogical {
	if role == "" {
		return []sarifLogical{{Name: line(host), Qualified: line(host), Kind: "resource"}}
	}
	return []sarifLogical{{Name: line(role), Qualified: line(host) + "/" + line(role), Kind: "resource"}}
}

func where(host, role string) string {
	if role == "" {
		return host
	}
	return host + " (" + role + ")"
}

// artifact is a file's name as a URI, relative where the name is.
func artifact(file string) string {
	u := url.URL{Path: filepath.ToSlash(filepath.Clean(file))}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}

// sarifText is a message of plain text, in which brackets would be a link and braces an argument.
func sarifText(text string) sarifMessage {
	return sarifMessage{strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "{", "{{", "}", "}}").Replace(text)}
}
