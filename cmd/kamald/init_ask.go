package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// answers puts together what flags say, what was found, and what a person at the terminal answers.
func (p *program) answers(cmd *cobra.Command, given starter, found found, yes bool) (starter, error) {
	set := cmd.Flags().Changed
	s := given
	s.hosts = hostList(strings.Join(given.hosts, ","))
	s.service, s.image = cmp.Or(s.service, found.service), cmp.Or(s.image, found.image)
	s.port = cmp.Or(s.port, found.port, defaultPort)
	if s.registryUser == "" && s.registry != "" {
		s.registryUser, _, _ = strings.Cut(s.image, "/")
	}
	if yes || !p.asks() {
		if err := unanswered(set, s, yes); err != nil {
			return s, err
		}
	} else if err := p.dialogue(set, &s); err != nil {
		return s, err
	}
	valid, said := validName(s.service)
	if said != "" {
		p.note("%s %s", p.err.in(yellow, "note:"), said)
	}
	s.service = valid
	return s, nil
}

// hostList reads names of hosts with commas or spaces between them.
func hostList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// asks tells whether there is somebody to ask.
func (p *program) asks() bool {
	file, ok := p.in.(*os.File)
	return !p.flags.json && (!ok || term.IsTerminal(int(file.Fd())))
}

// unanswered names the flags without which nobody can go on.
func unanswered(set func(string) bool, s starter, yes bool) error {
	if yes && len(s.hosts) > 0 {
		return nil
	}
	var missing []string
	for _, flag := range []struct{ name, found string }{{"host", ""}, {"service", s.service}, {"image", s.image}, {"port", strconv.Itoa(s.port)}} {
		switch {
		case set(flag.name) || yes && flag.name != "host":
		case flag.found == "":
			missing = append(missing, "  --"+flag.name+", for which nothing here speaks")
		default:
			missing = append(missing, fmt.Sprintf("  --%s, or --yes for %s", flag.name, flag.found))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return errors.New("there is no terminal to ask at, and these are missing:\n" + strings.Join(missing, "\n") +
		"\n  --registry with --registry-user, --user and --domain may be given too")
}

// question is one thing to ask; take says what is wrong with an answer.
type question struct {
	flag, text string
	known      string
	take       func(answer string) string
}

// dialogue asks for what no flag says. An empty answer takes what stands in brackets.
func (p *program) dialogue(set func(string) bool, s *starter) error {
	lines := bufio.NewReader(p.in)
	into := func(target *string) func(string) string {
		return func(answer string) string { *target = answer; return "" }
	}
	for _, q := range []question{
		{"service", "Name of the service, the prefix of its containers", s.service, into(&s.service)},
		{"image", "Repository of its image, without server and tag", s.image, into(&s.image)},
		{"registry", "Registry to pull it from; docker.io is Docker Hub, - is none: images travel over SSH", cmp.Or(s.registry, "-"), func(answer string) string {
			s.registry = strings.TrimPrefix(answer, "-")
			return ""
		}},
		{"registry-user", "User at the registry", "", into(&s.registryUser)},
		{"host", "Servers, separated by commas", strings.Join(s.hosts, ", "), func(answer string) string {
			s.hosts = hostList(answer)
			return map[bool]string{true: "at least one is needed, by name or address"}[len(s.hosts) == 0]
		}},
		{"user", "SSH user there, who may use Docker", s.user, into(&s.user)},
		{"port", "Port that the app listens on", strconv.Itoa(s.port), func(answer string) (problem string) {
			n, err := strconv.Atoi(answer)
			if err != nil || n < 1 || n > 65535 {
				return "a port is a number from 1 to 65535"
			}
			s.port = n
			return ""
		}},
		{"domain", "Name that it answers for; - is any", cmp.Or(s.domain, "-"), func(answer string) string {
			s.domain = strings.TrimPrefix(answer, "-")
			return ""
		}},
	} {
		if q.flag == "registry-user" {
			if s.registry == "" {
				continue
			}
			q.known, _, _ = strings.Cut(s.image, "/")
		}
		if set(q.flag) {
			continue
		}
		if err := p.ask(lines, q); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) ask(lines *bufio.Reader, q question) error {
	for {
		known := ""
		if q.known != "" {
			known = " [" + q.known + "]"
		}
		_, _ = fmt.Fprintf(p.err, "%s%s: ", q.text, known)
		line, err := lines.ReadString('\n')
		answer := cmp.Or(strings.TrimSpace(line), q.known)
		if err != nil && (!errors.Is(err, io.EOF) || strings.TrimSpace(line) == "") {
			return fmt.Errorf("no answer came, and nothing was written; --%s says it", q.flag)
		}
		problem := q.take(answer)
		if problem == "" {
			return nil
		}
		_, _ = fmt.Fprintf(p.err, "  %s\n", problem)
	}
}
