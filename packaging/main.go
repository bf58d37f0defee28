// Command packaging makes what a release of kamald is given out as: archives, packages, images and their checksums. The same commit and
// the same toolchain give the same bytes, wherever it is built.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// release is what is made.
type release struct {
	version string // without a v before it
	commit  string
	at      time.Time // of everything in it
	out     string    // the directory that it is put into
	made    []string  // names in out
}

// semantic is a version that dpkg and rpm can put in an order.
var semantic = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`)

func main() {
	var (
		version = flag.String("version", "", "the version, such as 1.2.3")
		commit  = flag.String("commit", "", "the commit that it is built from")
		epoch   = flag.String("epoch", "", "the time of everything in it, in seconds since 1970")
		out     = flag.String("out", "dist", "the directory that it is put into")
		arches  = flag.String("arches", "amd64,arm64", "for these architectures")
		kinds   = flag.String("kinds", "tar,deb,rpm,image", "these forms of it")
	)
	flag.Parse()
	if err := run(*version, *commit, *epoch, *out, strings.Split(*arches, ","), strings.Split(*kinds, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(version, commit, epoch, out string, arches, kinds []string) error {
	r := &release{version: strings.TrimPrefix(version, "v"), commit: commit, out: out}
	if !semantic.MatchString(r.version) {
		return fmt.Errorf("%q is no version that packages can have: make dist VERSION=1.2.3", version)
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return errors.New("the time is not known: set SOURCE_DATE_EPOCH, or build from a clone of the repository")
	}
	r.at = time.Unix(seconds, 0).UTC()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kamald-dist")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	papers, err := r.papers(work)
	if err != nil {
		return err
	}
	for _, arch := range arches {
		if err := r.makeFor(arch, kinds, papers, work); err != nil {
			return fmt.Errorf("linux/%s: %w", arch, err)
		}
	}
	return r.sum()
}

// makeFor makes every kind for one architecture.
func (r *release) makeFor(arch string, kinds []string, papers []file, work string) error {
	binary, err := r.build("linux", arch, work)
	if err != nil {
		return err
	}
	if slices.Contains(kinds, "tar") {
		if err := r.archive(arch, append([]file{binary}, papers...)); err != nil {
			return err
		}
	}
	for _, packager := range []string{"deb", "rpm"} {
		if slices.Contains(kinds, packager) {
			if err := r.pack(packager, arch, binary, papers, filepath.Join(work, packager+arch)); err != nil {
				return err
			}
		}
	}
	if slices.Contains(kinds, "image") {
		return r.image(arch, binary.data)
	}
	return nil
}

// put writes a file into the release.
func (r *release) put(name string, data []byte) error {
	r.made = append(r.made, name)
	fmt.Printf("%s (%.1f MB)\n", filepath.Join(r.out, name), float64(len(data))/1e6)
	return os.WriteFile(filepath.Join(r.out, name), data, 0o644)
}
