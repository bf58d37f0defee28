package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestTheFrontHandsOnTheNameThatWasAskedFor(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Host+r.URL.Path+" "+r.Header.Get("X-Forwarded-Host"))
	}))
	defer behind.Close()
	target, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, "http://shop.example.com/up", nil)
	answer := httptest.NewRecorder()
	front(target).ServeHTTP(answer, request)
	if got := answer.Body.String(); answer.Code != http.StatusTeapot || got != "shop.example.com/up shop.example.com" {
		t.Errorf("it answers %d %q", answer.Code, got)
	}
}
