package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// stand is a plain reverse proxy: it hands every request to the address that it is given, with the name that was asked for, until it is
// told to end.
func stand(args []string) int {
	settings, err := readSettings(os.LookupEnv, nil)
	if err != nil {
		log.Print(err)
		return 2
	}
	if len(args) != 1 {
		log.Print("app front: takes the URL that requests go to")
		return 2
	}
	target, err := url.Parse(args[0])
	if err != nil || target.Host == "" {
		log.Printf("app front: %q is no URL", args[0])
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(settings.port))
	if err != nil {
		log.Print(err)
		return 1
	}
	log.Printf("in front of %s on port %d", target, settings.port)
	if err := serveOn(ctx, listener, front(target)); err != nil {
		log.Print(err)
		return 1
	}
	return 0
}

func front(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
}
