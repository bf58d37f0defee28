package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	// slowLimit bounds /slow, so that no request outlives a drain test.
	slowLimit = 30 * time.Second
	// shutdownLimit lets the slowest request end before the process does.
	shutdownLimit = slowLimit + 5*time.Second

	sickness = "sick: the database does not answer"
)

// listen serves on the set port until the context ends.
func listen(ctx context.Context, s settings) error {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", s.port))
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	log.Printf("listening on port %d", s.port)
	return serveOn(ctx, listener, handler(s))
}

// serveOn serves until the context ends, then takes no new connection and lets every request end.
func serveOn(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("app: serve: %w", err)
	case <-ctx.Done():
	}
	log.Print("stopping: finishing requests")
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return fmt.Errorf("app: requests still run after %s: %w", shutdownLimit, err)
	}
	return nil
}

func handler(s settings) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if s.broken {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprintf(w, "version=%s\nrole=%s\nkamal_version=%s\nkamal_host=%s\ncontainer=%s\n", s.version, s.role,
			os.Getenv("KAMAL_VERSION"), os.Getenv("KAMAL_HOST"), os.Getenv("KAMAL_CONTAINER_NAME"))
	})
	mux.HandleFunc("GET /up", func(w http.ResponseWriter, r *http.Request) { up(w, r, s) })
	mux.HandleFunc("GET /env", env)
	mux.HandleFunc("GET /slow", slow)
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /ws", echoes)
	mux.Handle("GET /assets/", http.FileServer(http.Dir("/public"))) // of /public/assets, where an image has it
	return mux
}

func up(w http.ResponseWriter, r *http.Request, s settings) {
	switch {
	case s.redirect:
		http.Redirect(w, r, "https://"+r.Host+"/up", http.StatusFound)
	case s.sick:
		http.Error(w, sickness, http.StatusServiceUnavailable)
	default:
		fmt.Fprintf(w, "healthy version=%s\n", s.version)
	}
}

// env answers with one variable of the process, for tests that ask what reached the container.
func env(w http.ResponseWriter, r *http.Request) {
	value, ok := os.LookupEnv(r.URL.Query().Get("name"))
	if !ok {
		http.Error(w, "not set", http.StatusNotFound)
		return
	}
	fmt.Fprint(w, value)
}

// slow answers after ms milliseconds, at most slowLimit.
func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.URL.Query().Get("ms"))
	if err != nil || ms < 0 {
		http.Error(w, "ms is not a whole number from 0 up", http.StatusBadRequest)
		return
	}
	wait := min(time.Duration(ms)*time.Millisecond, slowLimit)
	if pause(r.Context(), wait) {
		fmt.Fprintf(w, "slept %s\n", wait)
	}
}
