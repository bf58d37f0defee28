package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// themeCookie keeps how a browser wants the pages; it says nothing of who it is.
const themeCookie = "kamald-theme"

var themes = []string{"light", "dark"}

func (s *Server) showLogin(c *call) error {
	if c.by.Role >= RoleRead {
		http.Redirect(c.w, c.r, ownPath(c.r.URL.Query().Get("next")), http.StatusSeeOther)
		return nil
	}
	return s.askToken(c, http.StatusOK, ownPath(c.r.URL.Query().Get("next")), "")
}

func (s *Server) askToken(c *call, status int, next, why string) error {
	return s.show(c, status, "login", shell{Title: "Log in", Body: struct{ Next, Why string }{next, why}})
}

// login makes a session of a token. A session that the browser had before ends.
func (s *Server) login(c *call) error {
	if err := c.form(); err != nil {
		return err
	}
	next := ownPath(c.r.PostForm.Get("next"))
	by, err := s.token(c.r, strings.TrimSpace(c.r.PostForm.Get("token")))
	if err != nil {
		var f failure
		if !errors.As(err, &f) {
			return err
		}
		if f.retry > 0 {
			return s.askToken(c, f.status, next, f.Error()+": "+f.next+".")
		}
		return s.askToken(c, f.status, next, "No such token is known here.")
	}
	if c.by.session != "" {
		s.sessions.end(c.by.session)
	}
	c.by = by
	setCookie(c, cookieName(c.via), s.sessions.begin(by.Name, s.now()), int(sessionLife/time.Second))
	http.Redirect(c.w, c.r, next, http.StatusSeeOther)
	return nil
}

func (s *Server) logout(c *call) error {
	if c.by.session != "" {
		s.sessions.end(c.by.session)
	}
	setCookie(c, cookieName(c.via), "", -1)
	http.Redirect(c.w, c.r, "/login", http.StatusSeeOther)
	return nil
}

func (s *Server) theme(c *call) error {
	if err := c.form(); err != nil {
		return err
	}
	life := int(365 * 24 * time.Hour / time.Second)
	chosen := c.r.PostForm.Get("theme")
	if !slices.Contains(themes, chosen) {
		chosen, life = "", -1
	}
	setCookie(c, themeCookie, chosen, life)
	http.Redirect(c.w, c.r, ownPath(c.r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}

// form reads a form that was posted, and nothing of the query.
func (c *call) form() error {
	if err := c.r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return bad("the form cannot be read", "go back and send it again")
	}
	return nil
}

// ownPath is a path of ours, or the overview: nobody is led elsewhere.
func ownPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}
