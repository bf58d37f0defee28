package proxy

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// answer writes a page of the proxy's own: the service's error page if it has one for the status, else a small one. A
// client that asks for JSON and not for HTML gets JSON.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, x *exchange, status int, text string) {
	h.answerWith(w, r, x, status, text, "")
}

// answerWith says besides what message the page shows: that of stop.
func (h *handler) answerWith(w http.ResponseWriter, r *http.Request, x *exchange, status int, text, message string) {
	if wantsJSON(r) {
		answerJSON(w, x, status, text)
		return
	}
	page, ok, err := x.pages().render(status, pageValues{message, status, http.StatusText(status), x.requestID})
	if err != nil {
		h.log.Error("Error page failed; the default one is shown", "service", x.service, "status", status, "error", err)
	}
	if ok {
		answerBytes(w, status, "text/html; charset=utf-8", page)
		return
	}
	answer(w, status, text)
}

// answer writes a small page of our own.
func answer(w http.ResponseWriter, status int, text string) {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	page := fmt.Sprintf("<!doctype html>\n<title>%s</title>\n<h1>%s</h1>\n<p>%s</p>\n", title, title, html.EscapeString(text))
	answerBytes(w, status, "text/html; charset=utf-8", []byte(page))
}

func answerJSON(w http.ResponseWriter, x *exchange, status int, text string) {
	body, err := json.Marshal(struct {
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Message   string `json:"message"`
		RequestID string `json:"request_id,omitempty"`
	}{status, http.StatusText(status), text, x.requestID})
	if err != nil {
		answer(w, status, text)
		return
	}
	answerBytes(w, status, "application/json", append(body, '\n'))
}

func answerBytes(w http.ResponseWriter, status int, contentType string, body []byte) {
	head := w.Header()
	head.Set("Content-Type", contentType)
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is logged as such
}

// wantsJSON says whether the client would rather have JSON: it names it, and does not name HTML.
func wantsJSON(r *http.Request) bool {
	json := false
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			media, _, _ := strings.Cut(part, ";")
			media = strings.ToLower(strings.TrimSpace(media))
			switch {
			case media == "text/html", media == "application/xhtml+xml":
				return false
			case media == "application/json", strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
				json = true
			}
		}
	}
	return json
}
