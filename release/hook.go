package release

import (
	"slices"
	"time"
)

// The moments at which a hook can run.
const (
	HookPreConnect      = "pre-connect"
	HookPreBuild        = "pre-build"
	HookPreDeploy       = "pre-deploy"
	HookPreBoot         = "pre-boot"
	HookPostBoot        = "post-boot"
	HookPostDeploy      = "post-deploy"
	HookPreProxyReboot  = "pre-proxy-reboot"
	HookPostProxyReboot = "post-proxy-reboot"
	HookDockerSetup     = "docker-setup"
	HookDrift           = "drift"
	HookFailure         = "failure"
	HookRollback        = "rollback"
)

// What is shown of a hook's output.
const (
	OutputShow    = "show"    // each line as it comes
	OutputQuiet   = "quiet"   // nothing
	OutputFailure = "failure" // the last lines, when it fails
)

// Hooks are what runs around a release. They are of the file as it is today, and no part of what runs: no record keeps them, a rollback
// runs those of today, and nobody who sends a release somewhere has commands of his run there.
type Hooks struct {
	// Dir is the directory of the file: commands run in it.
	Dir string
	// List has the executables of hooks_path first, then the blocks in the file's order.
	List []Hook
}

// Hook is one command, at one moment.
type Hook struct {
	Name string `json:"name"` // the block's label, or the executable's file name
	At   string `json:"at"`
	// File is an executable of hooks_path, relative to the file's directory; "" for a block.
	File string `json:"file,omitempty"`
	// Role has it run in a container of that role; "": on the machine that kamald runs on.
	Role    string        `json:"role,omitempty"`
	Run     []string      `json:"run,omitempty"` // of a block
	On      []string      `json:"on,omitempty"`  // the kinds of release; empty where the moment is none of a release
	Timeout time.Duration `json:"timeout"`
	Secrets []string      `json:"secrets,omitempty"` // names of those in its environment
	// AllSecrets has every secret that is at hand in its environment, as Kamal's executables have at some moments.
	AllSecrets bool   `json:"all_secrets,omitempty"`
	Output     string `json:"output"`
}

// Command is what runs: the executable, or the block's words.
func (h Hook) Command() []string {
	if h.File != "" {
		return []string{h.File}
	}
	return h.Run
}

// Same tells whether two hooks say the same.
func (h Hook) Same(other Hook) bool {
	return h.Name == other.Name && h.At == other.At && h.File == other.File && h.Role == other.Role && slices.Equal(h.Run, other.Run) &&
		h.Timeout == other.Timeout && slices.Equal(h.Secrets, other.Secrets) && h.AllSecrets == other.AllSecrets && h.Output == other.Output
}

// At gives the hooks of a moment, in the order in which they run. kind is that of the release, "" where the moment is none of a release.
func (h Hooks) At(moment, kind string) []Hook {
	return slices.DeleteFunc(slices.Clone(h.List), func(one Hook) bool {
		return one.At != moment || kind != "" && len(one.On) > 0 && !slices.Contains(one.On, kind)
	})
}
