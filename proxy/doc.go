// Package proxy is the data plane: a small zero-downtime HTTP reverse proxy that speaks kamal-proxy's commands.
//
// A Router holds services; a service owns (host, path prefix) pairs and has one deployment at a time: its options
// and a pool of targets. A deploy proves the new pool healthy, writes the state file, swaps the pool, and drains the
// old one. A request is counted in flight on its target under the same lock as the choice of that target, so a
// drain that begins after the swap sees every request the old pool will ever get.
//
// The commands reach the running proxy by HTTP and JSON over a unix socket that only its owner can open.
//
// Different from kamal-proxy on purpose: deploys of one service are serialised (the newest asked for wins); a
// caller that goes away cancels its own deploy; a failure names its cause; the state file is replaced atomically and
// before the swap; one service that cannot be restored does not take the others with it; upgraded connections live
// until the drain ends; escapes and trailers are passed on as they are.
package proxy
