// Package contract is what a person, or kamald, may rely on of the proxy: a table of behaviours, each tried on a built proxy by
// its command line and over HTTP, as anybody would.
//
// The same table runs against kamal-proxy 0.9.2; where that one does something else on purpose of ours, the row says what, and
// docs/proxy.md lists those rows.
//
//	go test ./proxy/contract                                                    builds cmd/kamald-proxy and tries that
//	KAMALD_CONTRACT_BINARY=FILE go test ./proxy/contract                        tries a program
//	KAMALD_CONTRACT_IMAGE=REF go test ./proxy/contract                          tries an image of the local Docker engine
//	KAMALD_CONTRACT_KIND=kamal-proxy KAMALD_CONTRACT_… go test ./proxy/contract expects what kamal-proxy 0.9.2 does
package contract

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// behaviour is a row of the contract.
type behaviour struct {
	name    string // what holds
	does    string // what a person does
	expects string // what they get
	kamal   string // what kamal-proxy 0.9.2 does instead; empty when it does the same
	run     func(p *proxy)
}

// area is a part of the contract.
type area struct {
	name string
	rows []behaviour
}

// areas are in the order of docs/proxy-contract.md.
func areas() []area {
	return []area{
		{"Commands", commandRows},
		{"Refusals", refusalRows},
		{"Deploy", deployRows},
		{"Switch", switchRows},
		{"Health", healthRows},
		{"Routing", routingRows},
		{"Paths and queries", pathRows},
		{"Stop, pause, resume", gateRows},
		{"Rollout", rolloutRows},
		{"Readers and writers", readerRows},
		{"Headers", headerRows},
		{"Buffering and limits", bufferRows},
		{"Failures and error pages", failureRows},
		{"HTTPS", tlsRows},
		{"State and restart", stateRows},
		{"Streams and upgrades", streamRows},
		{"Log and metrics", metricRows},
	}
}

// TestMain lets more rows run at once than there are processors: most of them wait for the proxy.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(4*max(2, runtime.GOMAXPROCS(0))))
	}
	code := m.Run()
	removeBuilt()
	os.Exit(code)
}

func TestTheProxyKeepsItsContract(t *testing.T) {
	s := newSubject(t)
	for _, a := range areas() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			for _, row := range a.rows {
				t.Run(row.name, func(t *testing.T) {
					t.Parallel()
					p := newProxy(t, s)
					row.run(p)
					if p.asked && row.kamal == "" {
						t.Error("this row expects something else of kamal-proxy and does not say what")
					}
				})
			}
		})
	}
}

func TestEveryRowOfTheContractCanBeRead(t *testing.T) {
	seen, rows := map[string]bool{}, 0
	for _, a := range areas() {
		for _, row := range a.rows {
			rows++
			if row.name == "" || row.does == "" || row.expects == "" || row.run == nil {
				t.Errorf("%s: %+v lacks a part", a.name, row)
			}
			if seen[row.name] {
				t.Errorf("two rows are named %q", row.name)
			}
			seen[row.name] = true
		}
	}
	if rows < 80 {
		t.Errorf("%d rows are no contract of a whole proxy", rows)
	}
}
