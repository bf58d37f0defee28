package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// appCommand makes this program the application behind the proxies, in a process of its own.
const appCommand = "application"

const chunk = 64 << 10

// serveApp answers GET /bytes/N with N bytes, and anything with a body with its size.
func serveApp(address string) error {
	filler := bytes.Repeat([]byte("kamald! "), chunk/8)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /bytes/", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/bytes/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Header().Set("Content-Type", "text/plain")
		for n > 0 {
			wrote, err := w.Write(filler[:min(n, chunk)])
			if err != nil {
				return
			}
			n -= wrote
		}
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d\n", n)
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: time.Minute, IdleTimeout: 10 * time.Minute}
	return server.ListenAndServe()
}
