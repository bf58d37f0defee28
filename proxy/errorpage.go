package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Limits on the pages of --error-pages, which are kept in memory.
const (
	errorPageBytes  = 1 << 20 // of one page
	errorPagesBytes = 8 << 20 // of all pages of a service
)

// errorPageName is <status>.html; other files in the directory are not looked at.
var errorPageName = regexp.MustCompile(`^[45][0-9][0-9]\.html$`)

// errorPages are a service's own pages for errors that the proxy itself answers, by status. A nil one has none.
type errorPages struct {
	pages map[int]*template.Template
}

// pageValues is what a page's template may show. Message is that of stop, as in kamal-proxy; the others are ours.
type pageValues struct {
	Message    string
	Status     int
	StatusText string
	RequestID  string
}

// readErrorPages reads the pages of a directory, none for an empty path. The error names the file.
func readErrorPages(dir string) (*errorPages, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("error-pages %s: %w; it must be a directory where the proxy runs, with files such as 503.html", dir, err)
	}
	p := &errorPages{pages: map[int]*template.Template{}}
	total := 0
	for _, entry := range entries {
		if !errorPageName.MatchString(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		text, err := readErrorPage(path)
		if err != nil {
			return nil, err
		}
		if total += len(text); total > errorPagesBytes {
			return nil, fmt.Errorf("error-pages %s: the pages have more than %d bytes together", dir, errorPagesBytes)
		}
		status, _ := strconv.Atoi(entry.Name()[:3])
		page, err := template.New(entry.Name()).Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("error page %s: %w", path, err)
		}
		p.pages[status] = page
		if _, _, err := p.render(status, pageValues{"a message", status, http.StatusText(status), "an-id"}); err != nil {
			return nil, fmt.Errorf("error page %s: %w", path, err)
		}
	}
	if len(p.pages) == 0 {
		return nil, fmt.Errorf("error-pages %s: no file in it has a name such as 503.html", dir)
	}
	return p, nil
}

// render returns the page for a status, false when there is none or it fails.
func (p *errorPages) render(status int, v pageValues) (page []byte, ok bool, err error) {
	if p == nil || p.pages[status] == nil {
		return nil, false, nil
	}
	var b bytes.Buffer
	if err := p.pages[status].Execute(&b, v); err != nil {
		return nil, false, err
	}
	return b.Bytes(), true, nil
}

func readErrorPage(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("error page %s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("error page: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, errorPageBytes+1))
	if err != nil {
		return nil, fmt.Errorf("error page: %w", err)
	}
	if len(text) > errorPageBytes {
		return nil, fmt.Errorf("error page %s has more than %d bytes", path, errorPageBytes)
	}
	return text, nil
}
