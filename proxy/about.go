package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// programName tells kamald-proxy from whatever else may be given as a binary.
	programName = "kamald-proxy"
	// stateFormat is raised by a change of the state file that an older program would misread.
	stateFormat = 1
	// handOverProtocol is raised by a change of what supervisor and worker, or two supervisors, say to each other.
	handOverProtocol = 1
	// aboutFile is beside the state file.
	aboutFile = "kamald-proxy.json"
)

// features are what a driver may use of this program beyond kamal-proxy's commands.
var features = []string{"fence", "inspect", "upgrade", "rollout-sticky", "rollout-sides", "health"}

// about is what `version --json` prints, and the file kamald-proxy.json holds of the running program.
type about struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"` // the image's, else the build's
	Build    string    `json:"build"`
	SHA256   string    `json:"sha256"` // of the executable
	Started  time.Time `json:"started,omitzero"`
	Features []string  `json:"features"`

	StateFormat      int `json:"state_format"`
	HandOverProtocol int `json:"hand_over_protocol"`
}

// aboutProgram describes this program, whose executable is at path, but for its sum.
func aboutProgram(path string) about {
	return about{
		Name: programName, Version: imageVersion(path, buildVersion()), Build: buildVersion(), Features: features,
		StateFormat: stateFormat, HandOverProtocol: handOverProtocol,
	}
}

// write replaces the file beside the state file.
func (a about) write(statePath string) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(statePath), aboutFile)
	if err := writeAtomically(path, append(data, '\n')); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (in invocation) version(args []string) error {
	f := in.newFlagSet("version", "")
	asJSON := f.Bool("json", false, "Print JSON")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if *asJSON {
		a := aboutProgram(path)
		if a.SHA256, err = fileSHA256(path); err != nil {
			return err
		}
		return json.NewEncoder(in.stdout).Encode(a)
	}
	text := imageVersion(path, buildVersion())
	if build := buildVersion(); build != text {
		text += " (build " + build + ")"
	}
	_, err = fmt.Fprintln(in.stdout, text)
	return err
}

// versionFile holds the version of the image that a program came with.
func versionFile(program string) string { return program + ".version" }

// imageVersion reads it; without the file, or with one that is none, it is the program's build.
func imageVersion(program, build string) string {
	data, err := os.ReadFile(versionFile(program))
	text := strings.TrimSpace(string(data))
	if err != nil || text == "" || len(text) > 128 || strings.ContainsAny(text, "\n\r") {
		return build
	}
	return text
}

func fileSHA256(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", errors.Join(fmt.Errorf("reading %s", path), err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
