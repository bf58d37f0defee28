package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

// starter is what init asks for, or is told by flags.
type starter struct {
	service, image         string
	registry, registryUser string // registry "": none, images travel over SSH
	hosts                  []string
	user                   string
	port                   int
	domain                 string
}

// registryPassword names the secret of a registry that init writes down.
const registryPassword = "REGISTRY_PASSWORD"

// defaultPort is taken for an app that says nothing of its port.
const defaultPort = 80

func (p *program) initCommand() *cobra.Command {
	var given starter
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first deploy.hcl, and what belongs beside it",
		Long: "Looks at what is here (a Dockerfile, a git remote, a Kamal configuration), asks for the rest, and writes deploy.hcl, .kamald/secrets\n" +
			"and sample hooks. What is there already is left alone. Without a terminal the answers are flags; --yes takes what was found.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.initialise(cmd, given, yes, force)
		},
	}
	f := cmd.Flags()
	f.StringVar(&given.service, "service", "", "prefix of container names")
	f.StringVar(&given.image, "image", "", "repository of the image, without server and tag")
	f.StringVar(&given.registry, "registry", "", "server of the registry; docker.io is Docker Hub (default: none, images travel over SSH)")
	f.StringVar(&given.registryUser, "registry-user", "", "who logs in there")
	f.StringSliceVar(&given.hosts, "host", nil, "servers: names or addresses, separated by commas")
	f.StringVar(&given.user, "user", "root", "who logs in to the servers by SSH")
	f.IntVar(&given.port, "port", 0, "port that the app listens on")
	f.StringVar(&given.domain, "domain", "", "name that the app answers for (default: any)")
	f.BoolVar(&yes, "yes", false, "ask nothing: take what was found")
	f.BoolVar(&force, "force", false, "also where there is a Kamal configuration")
	return cmd
}

func (p *program) initialise(cmd *cobra.Command, given starter, yes, force bool) error {
	dir := filepath.Dir(p.flags.file)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no directory: make it first", dir)
	}
	kamals := filepath.Join(dir, "config", "deploy.yml")
	if _, err := os.Stat(kamals); err == nil && !force {
		return fmt.Errorf("%s is a Kamal configuration: `kamald import %s` makes a deploy.hcl of it; `kamald init --force` begins anew", kamals, kamals)
	}
	found := look(cmd.Context(), dir)
	var answers starter
	if _, err := os.Lstat(p.flags.file); err != nil {
		if answers, err = p.answers(cmd, given, found, yes); err != nil {
			return err
		}
	}
	made, err := p.start(dir, answers)
	notes := found.notes
	if answers.service != "" && err == nil {
		notes = append(notes, p.unsaid(cmd.Context(), dir)...)
		notes = append(notes, unnamed(answers, made)...)
	}
	return errors.Join(p.showStart(made, notes), err)
}

// started are the files that init wrote, and those that were there.
type started struct{ Written, Left []string }

// start writes every file that is not there yet.
func (p *program) start(dir string, answers starter) (started, error) {
	made := started{Written: []string{}, Left: []string{}}
	var files []startFile
	if answers.service != "" {
		text, err := answers.file(p.flags.file)
		if err != nil {
			p.note("Nothing was written: with these answers the file would be wrong.")
			return made, err
		}
		files = append(files, startFile{p.flags.file, text, 0o644})
	} else {
		made.Left = append(made.Left, p.flags.file)
	}
	files = append(files, answers.beside(dir)...)
	for _, f := range files {
		switch err := f.write(); {
		case errors.Is(err, fs.ErrExist):
			made.Left = append(made.Left, f.path)
		case err != nil:
			return made, fmt.Errorf("it cannot be written: %w", err)
		default:
			made.Written = append(made.Written, f.path)
		}
	}
	return made, nil
}

// startFile is one file to be written.
type startFile struct {
	path string
	text string
	mode os.FileMode
}

// write makes the file, and never over another: fs.ErrExist then.
func (f startFile) write() error {
	private := os.FileMode(0o755)
	if f.mode&0o077 == 0 {
		private = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(f.path), private); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = file.WriteString(f.text)
	return errors.Join(err, file.Chmod(f.mode), file.Close())
}

// file is the deploy.hcl of the answers. What is wrong with them is the error, as the loader says it.
func (s starter) file(path string) (string, error) {
	text := string(release.Format([]byte(s.text())))
	opts := release.Options{
		ReadFile: func(string) ([]byte, error) { return []byte(text), nil },
		ReadDir:  func(string) ([]string, error) { return nil, nil },
	}
	return text, release.Validate(path, opts).Err()
}

func (p *program) showStart(made started, notes []string) error {
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "written": made.Written, "left": made.Left, "notes": append([]string{}, notes...)})
	}
	for _, path := range made.Written {
		p.printf("%s %s\n", p.out.in(green, "written:"), path)
	}
	for _, path := range made.Left {
		p.printf("left alone, for it was there: %s\n", path)
	}
	for _, note := range notes {
		p.note("%s %s", p.err.in(yellow, "note:"), note)
	}
	if len(made.Written) > 0 {
		p.note("next: read %s, then `kamald validate` and `kamald plan`", p.flags.file)
	}
	return nil
}

// unnamed is that a secrets file which was there may lack what the new deploy.hcl asks for.
func unnamed(s starter, made started) []string {
	for _, path := range made.Left {
		data, err := os.ReadFile(path)
		if err == nil && s.registry != "" && filepath.Base(path) == "secrets" && !strings.Contains(string(data), registryPassword) {
			return []string{fmt.Sprintf("%s has no %s, which deploy.hcl asks for: add a line %s=$%s", path, registryPassword, registryPassword, registryPassword)}
		}
	}
	return nil
}

// unsaid is what a new user would stumble over next.
func (p *program) unsaid(ctx context.Context, dir string) []string {
	ignored, repository := secretsIgnored(ctx, dir)
	switch {
	case !repository:
		return []string{"this is no git repository, and the version of a release is the commit's: run `git init` and commit, set version in the file, or give --version"}
	case !ignored:
		return []string{"git would commit .kamald/secrets: as it is it holds references only; add it to .gitignore before it holds a value"}
	}
	return nil
}
