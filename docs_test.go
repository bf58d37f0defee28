package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// block is a fenced block of a page.
type block struct {
	page string
	line int // of the opening fence
	lang string
	text string
}

func TestTheDocumentedCommandsExist(t *testing.T) {
	cli := buildProgram(t)
	found := 0
	for _, b := range blocks(t) {
		session := strings.HasPrefix(b.text, "$ ") // what has no prompt before it is an answer
		for i, line := range strings.Split(b.text, "\n") {
			command, ok := documented(line)
			if !ok || session && !strings.HasPrefix(line, "$ ") {
				continue
			}
			found++
			if why := cli.refuses(command); why != "" {
				t.Errorf("%s:%d: %q: %s", b.page, b.line+1+i, line, why)
			}
		}
	}
	if found == 0 {
		t.Error("no page shows a command")
	}
}

func TestTheDocumentedCommandsThatDoNotExistAreSeen(t *testing.T) {
	cli := buildProgram(t)
	for _, wrong := range []string{"teleport", "plan --sideways", "env teleport", "plan -Z", "app exec --sideways ls", "app exec --hosts web-1 --sideways ls"} {
		if cli.refuses(strings.Fields(wrong)) == "" {
			t.Errorf("kamald %s passes", wrong)
		}
	}
}

func TestTheDocumentedFilesAreValid(t *testing.T) {
	whole := 0
	for _, b := range blocks(t) {
		if b.lang != "hcl" {
			continue
		}
		text := b.text
		if strings.HasPrefix(text, "# deploy.hcl\n") {
			whole++
		} else {
			text = around(text)
		}
		path := filepath.Join(t.TempDir(), "deploy.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if problems := release.Validate(path, release.Options{}); problems.Len() > 0 {
			t.Errorf("%s:%d: %s", b.page, b.line, problems.Error())
		}
	}
	if whole == 0 {
		t.Error("no page shows a whole deploy.hcl")
	}
	if problems := release.Validate("deploy.hcl.example", release.Options{}); problems.Len() > 0 {
		t.Errorf("deploy.hcl.example: %s", problems.Error())
	}
}

// around makes a part of a file whole.
func around(part string) string {
	frame := "service = \"shop\"\nimage = \"acme/shop\"\n"
	if !strings.Contains(part, "role \"web\"") {
		frame += "role \"web\" {\n  hosts = [\"10.0.0.1\"]\n}\n"
	}
	return frame + part
}

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			target := page
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(page), match[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			} else if match[2] != "" && !slices.Contains(anchors(t, target), match[2]) {
				t.Errorf("%s links to %s#%s, and there is no such heading", page, match[1], match[2])
			}
		}
	}
}

// anchors are what the headings of a page are called in links.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		plain := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(match[1]), "")
		found = append(found, strings.ReplaceAll(strings.TrimSpace(plain), " ", "-"))
	}
	return found
}

func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("docs/*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("docs/ has no pages: %v", err)
	}
	return append(found, "README.md", "CHANGELOG.md")
}

// blocks gives every fenced block of every page.
func blocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var open *block
		for i, line := range strings.Split(string(text), "\n") {
			lang, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
			switch {
			case fence && open == nil:
				open = &block{page: page, line: i + 1, lang: lang}
			case fence:
				all = append(all, *open)
				open = nil
			case open != nil:
				open.text += line + "\n"
			}
		}
		if open != nil {
			t.Errorf("%s:%d: the block is not closed", page, open.line)
		}
	}
	return all
}

// documented gives the words after `kamald` of a line that shows a command.
func documented(line string) ([]string, bool) {
	line, _, _ = strings.Cut(line, " #")
	line = strings.TrimSpace(line)
	for _, prefix := range []string{"$ ", "- ", "run: "} { // of a terminal, and of a pipeline
		line = strings.TrimPrefix(line, prefix)
	}
	line = strings.TrimPrefix(line, "bin/")
	rest, ok := strings.CutPrefix(line, "kamald ")
	return strings.Fields(rest), ok
}

// program asks the built command line what it knows.
type program struct {
	path string
	help map[string]string
}

func buildProgram(t *testing.T) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kamald")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/kamald") // with the flags of make build: it is compiled already
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/kamald: %v\n%s", err, output)
	}
	return &program{path: path, help: map[string]string{}}
}

// refuses says what the program does not know of a command, "" when it knows all of it.
func (p *program) refuses(words []string) string {
	var path []string
	for len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		help := p.helpOf(path)
		if !strings.Contains(help, "Available Commands:") {
			break // what follows are arguments
		}
		next := append(path[:len(path):len(path)], words[0])
		if !strings.Contains(p.helpOf(next), "\n  kamald "+strings.Join(next, " ")) {
			return "there is no such command"
		}
		path, words = next, words[1:]
	}
	help := p.helpOf(path)
	if strings.Contains(help, "COMMAND [ARGUMENT]...") {
		words = ownWords(words, help)
	}
	for _, word := range words {
		name, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(name, "-") && !regexp.MustCompile(`(?m)(^|[ ,])`+regexp.QuoteMeta(name)+`([ ,\n]|$)`).MatchString(help) {
			return "the command has no flag " + name
		}
	}
	return ""
}

// ownWords leaves out another's command and all behind it.
func ownWords(words []string, help string) []string {
	for i, word := range words {
		if strings.HasPrefix(word, "-") {
			continue
		}
		value := i > 0 && strings.HasPrefix(words[i-1], "-") &&
			regexp.MustCompile(`(?m)(^|[ ,])`+regexp.QuoteMeta(words[i-1])+`(, --[a-z-]+)? [^ ]`).MatchString(help)
		if !value {
			return words[:i]
		}
	}
	return words
}

func (p *program) helpOf(path []string) string {
	key := strings.Join(path, " ")
	if _, ok := p.help[key]; !ok {
		// A command that does not exist answers with an error, and its text has no usage of that name.
		output, _ := exec.Command(p.path, append(path[:len(path):len(path)], "--help")...).CombinedOutput()
		p.help[key] = string(output)
	}
	return p.help[key]
}
