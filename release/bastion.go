package release

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The kinds of sources.
const (
	SourceGit  = "git"
	SourceFile = "file"
)

// The roles of a token, from the one that may do least.
const (
	RoleRead    = "read"
	RoleOperate = "operate"
	RoleAdmin   = "admin"
)

// The kinds of notifications.
const (
	NotifyWebhook = "webhook"
	NotifySlack   = "slack"
	NotifyEmail   = "email"
)

// Bastion is what belongs to the machine that the daemon runs on, and to no app: kamald.hcl with every default filled in. Paths that
// were relative are relative to its directory no more: that stands before them. It has references to secrets and no value of one.
type Bastion struct {
	Store   Store         `json:"store"`
	Listen  Listen        `json:"listen"`
	Tokens  []Token       `json:"tokens,omitempty"` // in the file's order
	Apps    []DrivenApp   `json:"apps,omitempty"`   // in the file's order
	Metrics MetricsListen `json:"metrics,omitzero"`
	Log     Log           `json:"log"`
}

// Store is where history and observations are kept.
type Store struct {
	Bolt string   `json:"bolt,omitempty"` // a file; "": where commands keep theirs
	Etcd []string `json:"etcd,omitempty"` // in place of the file: URLs of a cluster's members
	// CA, Certificate and Key are files for etcd.
	CA          string `json:"ca,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// Username is an etcd user; Password names the secret that has its password, SecretFiles where that is looked for.
	Username    string   `json:"username,omitempty"`
	Password    string   `json:"password,omitempty"`
	SecretFiles []string `json:"secret_files,omitempty"`
	// Name is this daemon's for the others on the cluster, "": the machine's. Lease is after how long without a word from it another leads.
	Name  string        `json:"name,omitempty"`
	Lease time.Duration `json:"lease,omitempty"`
}

// Listen is where the daemon answers; what is "" it does not answer at, but for the socket.
type Listen struct {
	Socket string `json:"socket,omitempty"` // "": the store's file with .sock after it
	HTTPS  string `json:"https,omitempty"`  // address and port; Certificate and Key are there then
	HTTP   string `json:"http,omitempty"`   // of this machine only
	// Certificate and Key are files.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
}

// Token is who may ask over the network.
type Token struct {
	Name string   `json:"name"`
	Hash string   `json:"hash"` // "sha256:" and the SHA-256 of the token in hex
	Role string   `json:"role"`
	Apps []string `json:"apps,omitempty"` // services that it is for; none: all
}

// DrivenApp is an app that the daemon drives, or some destinations of one.
type DrivenApp struct {
	Service      string        `json:"service"`
	Destinations []string      `json:"destinations"`   // at least one; "" is the one without a name
	Mode         string        `json:"mode,omitempty"` // at most; "": what the app's file says
	ImageWait    time.Duration `json:"image_wait"`
	Source       Source        `json:"source"`
	SecretFiles  []string      `json:"secret_files,omitempty"`
	Notify       []Notify      `json:"notify,omitempty"`
}

// Source is where an app's file comes from.
type Source struct {
	Kind string `json:"kind"` // SourceGit or SourceFile
	Path string `json:"path"` // the file; of git within the repository
	// The rest is git's.
	URL    string        `json:"url,omitempty"` // may have a password in it: it is never shown whole
	Branch string        `json:"branch,omitempty"`
	Every  time.Duration `json:"every,omitempty"`
	Signed bool          `json:"signed,omitempty"`
}

// Notify is who is told of transitions.
type Notify struct {
	Kind string `json:"kind"`
	// URL is the webhook's or Slack's; URLSecret names the secret that has it instead.
	URL       string `json:"url,omitempty"`
	URLSecret string `json:"url_secret,omitempty"`
	Secret    string `json:"secret,omitempty"` // the name of the secret that signs a webhook's bodies; "": none
	// To and SMTP are of email; SMTPSecret names the secret that has the server's URL instead.
	To         []string `json:"to,omitempty"`
	SMTP       string   `json:"smtp,omitempty"`
	SMTPSecret string   `json:"smtp_secret,omitempty"`
	On         []string `json:"on"` // the transitions
}

// MetricsListen is where Prometheus asks.
type MetricsListen struct {
	Listen string `json:"listen,omitempty"` // address and port; "": nowhere
}

// Log is the daemon's own log.
type Log struct {
	Format string `json:"format"` // "json" or "text"
	Level  string `json:"level"`  // the least that is written
}

// HashToken is what a bastion's file has of a token: "sha256:" and its SHA-256 in hex.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// LoadBastion reads kamald.hcl, the file of the bastion (kamald.reference.hcl has the vocabulary). Of opts it uses Env and ReadFile.
// All problems come at once; the bastion is meaningful only when the diagnostics have no errors.
func LoadBastion(path string, opts Options) (Bastion, Diagnostics) {
	opts.Git = nil // the file lies in no app's repository
	l := newLoader(path, opts)
	l.bastion = true
	root := l.readBastion()
	if root == nil {
		return Bastion{}, l.result()
	}
	l.refuseUnbuiltBastion(root, "")
	return l.compileBastion(root), l.result()
}

// LoadStore reads the store block of kamald.hcl, and what locals it needs: what the rest depends on need not be at hand. Of opts it uses
// Env and ReadFile.
func LoadStore(path string, opts Options) (Store, Diagnostics) {
	opts.Git = nil
	l := newLoader(path, opts)
	l.bastion = true
	file, ok := l.parse(l.path)
	if !ok {
		return Store{}, l.result()
	}
	file.body.Blocks = slices.DeleteFunc(slices.Clone(file.body.Blocks), func(b *hclsyntax.Block) bool { return b.Type != "store" && b.Type != "locals" })
	store := l.decode(file.body, bastionSpec, l.context(file, "", nil)).child("store")
	l.checkStore(store)
	return l.compileStore(store), l.result()
}

// ValidateBastion checks kamald.hcl. It reads only that file: the environment, secrets and other files are unknown to it.
func ValidateBastion(path string, opts Options) Diagnostics {
	l := newLoader(path, opts)
	l.lenient, l.bastion = true, true
	l.readBastion()
	return l.result()
}

// readBastion decodes and checks the file; nil when nothing of it can be used.
func (l *loader) readBastion() *block {
	file, ok := l.parse(l.path)
	if !ok {
		return nil
	}
	root := l.decode(file.body, bastionSpec, l.context(file, "", nil))
	l.checkRequired(root)
	l.checkBastion(root)
	return root
}
