package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed all:page static
var embedded embed.FS

// pages are the dashboard's templates and files.
type pages struct {
	named map[string]*template.Template
	files map[string][]byte
	stamp string // of the files: another one makes browsers fetch them anew
}

// shell is what every page has around its own.
type shell struct {
	Title   string
	By      Principal
	Theme   string // "light", "dark" or "": as the system has it
	Path    string // with its query
	Stamp   string
	Version string
	Now     time.Time
	Busy    bool   // without the script the page is loaded anew now and then
	Live    string // of which app the page shows news; "*" for all, "" for none
	Body    any
}

func newPages() (*pages, error) {
	p := &pages{named: map[string]*template.Template{}, files: map[string][]byte{}}
	hash := sha256.New()
	static, err := fs.Glob(embedded, "static/*")
	if err != nil {
		return nil, err
	}
	for _, name := range static {
		data, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p.files[path.Base(name)] = data
		_, _ = hash.Write(data) // a hash takes everything
	}
	p.stamp = hex.EncodeToString(hash.Sum(nil))[:12]
	found, err := fs.Glob(embedded, "page/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range found {
		base := path.Base(name)
		if strings.HasPrefix(base, "_") {
			continue
		}
		t, err := template.New(base).Funcs(pageWords).ParseFS(embedded, "page/_*.html", name)
		if err != nil {
			return nil, fmt.Errorf("the page %s: %w", base, err)
		}
		p.named[strings.TrimSuffix(base, ".html")] = t
	}
	return p, nil
}

// pageRoutes are the dashboard. They are not on the socket.
func pageRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	const app = "/apps/{app}"
	list := []route{
		{method: get, pattern: "/login", serve: (*Server).showLogin},
		{method: post, pattern: "/login", serve: (*Server).login},
		{method: post, pattern: "/logout", serve: (*Server).logout},
		{method: post, pattern: "/theme", serve: (*Server).theme},
		{method: get, pattern: "/static/{file}", serve: (*Server).static},
		{method: get, pattern: "/{$}", need: RoleRead, serve: (*Server).showOverview},
		{method: get, pattern: app, need: RoleRead, about: aboutApp, serve: (*Server).showApp},
		{method: get, pattern: app + "/history", need: RoleRead, about: aboutApp, serve: (*Server).showHistory},
		{method: get, pattern: app + "/audit", need: RoleRead, about: aboutApp, serve: (*Server).showAudit},
		{method: get, pattern: app + "/drift", need: RoleRead, about: aboutApp, serve: (*Server).showDrift},
		{method: get, pattern: app + "/logs", need: RoleRead, about: aboutApp, serve: (*Server).showLogs},
		{method: get, pattern: "/tickets/{id}", need: RoleRead, about: aboutTicket, serve: (*Server).showTicket},
	}
	for _, a := range actions {
		list = append(list,
			route{method: get, pattern: app + "/" + a.verb, need: a.need, about: aboutApp, serve: func(s *Server, c *call) error { return s.confirm(c, a) }},
			route{method: post, pattern: app + "/" + a.verb, need: a.need, about: aboutApp, serve: func(s *Server, c *call) error { return s.act(c, a) }})
	}
	for i := range list {
		list[i].page = true
	}
	return list
}

// show answers with a page.
func (s *Server) show(c *call, status int, name string, page shell) error {
	page.By, page.Stamp, page.Version, page.Now = c.by, s.pages.stamp, s.opts.Version, s.now()
	page.Path = c.r.URL.RequestURI()
	if c.r.Method != http.MethodGet {
		page.Path = "/"
	}
	if cookie, err := c.r.Cookie(themeCookie); err == nil && slices.Contains(themes, cookie.Value) {
		page.Theme = cookie.Value
	}
	var text bytes.Buffer // so that a mistake is no half page
	if err := s.pages.named[name].ExecuteTemplate(&text, "layout", page); err != nil {
		s.opts.Log.Error().Err(err).Str("page", name).Msg("a page cannot be written")
		http.Error(c.w, "this page cannot be shown: see the daemon's log", http.StatusInternalServerError)
		return nil
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(text.Bytes()) // who went away needs no answer
	return nil
}

// failPage says why not; whoever is not known is asked for a token.
func (s *Server) failPage(c *call, f failure) {
	if f.status == http.StatusUnauthorized {
		c.w.Header().Del("WWW-Authenticate")
		to := "/login"
		if c.r.Method == http.MethodGet && c.r.URL.Path != "/" {
			to += "?" + url.Values{"next": {c.r.URL.RequestURI()}}.Encode()
		}
		http.Redirect(c.w, c.r, to, http.StatusSeeOther)
		return
	}
	back := "/"
	if c.app.Service != "" && c.by.Sees(c.app) {
		back = pathOf(c.app)
	}
	_ = s.show(c, f.status, "failure", shell{Title: "Not done", Body: struct{ Text, Next, Back string }{f.Error(), f.next, back}}) // show logs what it cannot
}

// static gives a file of the dashboard. Its address has its stamp, so that it may be kept.
func (s *Server) static(c *call) error {
	name := c.r.PathValue("file")
	data, ok := s.pages.files[name]
	if !ok {
		return failure{status: http.StatusNotFound, text: "there is no such file"}
	}
	c.w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	if c.r.URL.Query().Get("v") == s.pages.stamp {
		c.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = c.w.Write(data)
	return nil
}
