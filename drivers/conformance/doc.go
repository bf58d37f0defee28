// Package conformance holds the cases that the simulator and the real drivers must answer alike. Each case does something
// through the interfaces of the seam and notes what it got; testdata holds what a real engine, sshd and proxy gave. The
// simulator is held to it by every run of the tests, the real ones by those that have a lab. It has tests only.
//
// After a change of a case: go test ./drivers/conformance -run Real -update
package conformance
