package kamal

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCommentsOfWhatIsLeftOutKeepTheirOrder(t *testing.T) {
	text, _ := imported(t, least+"one: 1 # first\ntwo: 2 # second\nretain_containers: 3\nthree: 3 # third\nfour: 4 # fourth\n")
	at := -1
	for _, remark := range []string{"# first", "# second", "retain_containers", "# third", "# fourth"} {
		next := strings.Index(text, remark)
		if next <= at {
			t.Fatalf("%s is not behind what stood before it:\n%s", remark, text)
		}
		at = next
	}
}

var bareLine = regexp.MustCompile(`^ *(?:- )?[a-zA-Z0-9/][A-Za-z0-9_./-]*:?(?: [A-Za-z0-9_./-]+)?$`)

// Whatever becomes of a key, the comment behind it comes along.
func TestNoCommentBehindALineIsLost(t *testing.T) {
	remarks := 0
	for _, dir := range cases(t) {
		opts := beside(t, dir)
		opts.Destinations = []string{}
		read := opts.ReadFile
		wanted := []string{}
		opts.ReadFile = func(path string) ([]byte, error) {
			source, err := read(path)
			if path != "config/deploy.yml" {
				return source, err
			}
			lines := strings.Split(string(source), "\n")
			inRuby := false
			for n, line := range lines {
				inRuby = (inRuby || strings.Contains(line, "<% if ")) && !strings.Contains(line, "<% end") // what is left out with its lines
				if !inRuby && bareLine.MatchString(line) {
					wanted = append(wanted, fmt.Sprintf("remark %d.", n+1))
					lines[n] += " # " + wanted[len(wanted)-1]
				}
			}
			return []byte(strings.Join(lines, "\n")), err
		}
		result, err := Import("config/deploy.yml", opts)
		if err != nil {
			continue // what is no file by itself is none with remarks either
		}
		for _, remark := range wanted {
			remarks++
			if !strings.Contains(string(result.HCL), remark) {
				t.Errorf("%s: line %s is not in\n%s", filepath.Base(dir), remark, result.HCL)
			}
		}
	}
	if remarks < 500 {
		t.Errorf("%d remarks were looked for, want at least 500", remarks)
	}
}
