package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/kamald/kamald/state"
)

const (
	// errorPageBytes is how long one error page may be. The release has them in it, and so has each of its records.
	errorPageBytes = 256 << 10
	// errorPagesBytes is how long all of them may be together.
	errorPagesBytes = 512 << 10
)

// errorPage names the files that the proxy takes.
var errorPage = regexp.MustCompile(`^[45][0-9][0-9]\.html$`)

// ErrorPagesDir is the directory with an app's sets of error pages, below a directory of all apps' files.
func ErrorPagesDir(apps string, app state.App) string {
	return path.Join(apps, app.String(), "error_pages")
}

// ErrorPageSet names the release's error pages by what is in them: other pages are another directory, so that a proxy which keeps
// serving the old ones until it is told can always read them again. "" when there are none.
func (r Release) ErrorPageSet() string {
	if len(r.ErrorPages) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.ErrorPages)) {
		page := sha256.Sum256([]byte(r.ErrorPages[name]))
		sum.Write([]byte(name))
		sum.Write(page[:])
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// compileErrorPages reads the pages: they are part of the release, so that whoever puts a route right has them.
func (c *compiler) compileErrorPages() {
	v := c.root.get("error_pages_path")
	if v == nil || !v.set() || v.unknown || v.text() == "" {
		return
	}
	if c.rel.ProxyServer.Traefik() {
		c.errorf(v.rng, "No error pages with Traefik", "error_pages_path is not there with Traefik: it takes error pages from a service, not from files.")
		return
	}
	if c.lenient {
		return
	}
	dir := v.text()
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(c.path), dir)
	}
	names, err := c.opts.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.errorf(v.rng, "No such directory", "There is no directory %q; its 4xx.html and 5xx.html would be the error pages.", v.text())
		return
	case err != nil:
		c.errorf(v.rng, "Cannot read the error pages", "%v", err)
		return
	}
	c.rel.ErrorPages = map[string]string{}
	total := 0
	for _, name := range names {
		if !errorPage.MatchString(name) {
			continue
		}
		text, err := c.opts.ReadFile(filepath.Join(dir, name))
		total += len(text)
		switch {
		case err != nil:
			c.errorf(v.rng, "Cannot read the error pages", "%v", err)
		case len(text) > errorPageBytes || total > errorPagesBytes:
			c.errorf(v.rng, "Long error pages", "%s has %d bytes and the pages so far have %d: one may have %d and all together %d, for they are kept with every release.", name, len(text), total, errorPageBytes, errorPagesBytes)
			return
		case !utf8.Valid(text):
			c.errorf(v.rng, "Not a text", "%s is not UTF-8.", name)
		default:
			c.rel.ErrorPages[name] = string(text)
		}
	}
	if total == 0 {
		c.warnf(v.rng, "No error pages", "No file in %q has a name such as 404.html or 503.html: the proxy answers with its own pages.", v.text())
	}
}
