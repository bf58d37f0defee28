package etcd

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/kamald/kamald/state"
)

// Schema is the version of the layout. A cluster with a higher one is refused.
const Schema = 1

// The layout. Below an app's directory lie
//
//	snapshot, watch                 the newest
//	sequence                        the number of the newest event
//	releases/NUMBER                 a record
//	plans/TIME.NONCE                a plan
//	nonces/NONCE                    the key of its plan
//	events/NUMBER.COUNT             the events of one append; the number is the last one's
//
// and a value that is too large for one key is in parts below the same path in the other tree.
const (
	prefix      = "/kamald/"
	keySchema   = prefix + "schema"
	keyValues   = prefix + "v1/app/"
	keyParts    = prefix + "v1/part/"
	keyApps     = prefix + "v1/apps/" // names of apps, without any value
	keyLeaders  = prefix + "v1/leader/"
	schemaText  = "1"
	numberWidth = 20
)

// key is where something of an app is, within both trees.
type key string

func (k key) value() string { return keyValues + string(k) }
func (k key) parts() string { return keyParts + string(k) + "/" }

// dir is what every key of an app begins with.
func dir(app state.App) string {
	return url.PathEscape(app.Service) + "/" + url.PathEscape(app.Destination) + "/"
}

func keyOf(app state.App, name string) key { return key(dir(app) + name) }

// appOf reads an app out of what follows the prefix of a tree.
func appOf(rest string) (state.App, bool) {
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) < 2 {
		return state.App{}, false
	}
	service, err := url.PathUnescape(parts[0])
	destination, also := url.PathUnescape(parts[1])
	return state.App{Service: service, Destination: destination}, err == nil && also == nil
}

func indexKey(app state.App) string { return keyApps + strings.TrimSuffix(dir(app), "/") }

func leaderDir(app state.App) string { return keyLeaders + dir(app) }

func releaseKey(app state.App, number int) key {
	return keyOf(app, "releases/"+padded(uint64(number)))
}

func padded(n uint64) string { return fmt.Sprintf("%0*d", numberWidth, n) }

// planKey sorts by time, also before 1970.
func planKey(app state.App, plan state.PlanRecord) key {
	stamp := fmt.Sprintf("%016x%08x", uint64(plan.At.Unix())^1<<63, plan.At.Nanosecond())
	return keyOf(app, "plans/"+stamp+"."+hex.EncodeToString([]byte(plan.Nonce)))
}

// nonceKey is the key that knows where the plan of a nonce is; nonceOf reads it out of the plan's key.
func nonceKey(app state.App, nonce string) string {
	return keyOf(app, "nonces/"+hex.EncodeToString([]byte(nonce))).value()
}

func nonceOf(app state.App, plan string) (string, bool) {
	_, nonce, ok := strings.Cut(plan[strings.LastIndex(plan, "/")+1:], ".")
	data, err := hex.DecodeString(nonce)
	return nonceKey(app, string(data)), ok && err == nil
}

// batch is a key of events: count of them, the last one's number is last.
type batch struct{ last, count uint64 }

func (b batch) key(app state.App) key {
	return keyOf(app, "events/"+padded(b.last)+"."+strconv.FormatUint(b.count, 10))
}

func batchOf(name string) (b batch, err error) {
	last, count, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], ".")
	if b.last, err = strconv.ParseUint(last, 10, 64); err == nil {
		b.count, err = strconv.ParseUint(count, 10, 64)
	}
	if err != nil || b.count < 1 || b.count > b.last {
		return batch{}, fmt.Errorf("the key %s names no events", name)
	}
	return b, nil
}
