package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// Role is what somebody may do. Each may do what those below it may.
type Role int

// The roles, in their order.
const (
	RoleNone    Role = iota // nobody that is known
	RoleRead                // looks
	RoleOperate             // releases, rolls back, pauses, resumes
	RoleAdmin               // approves, and gives whole releases
)

var roleNames = map[Role]string{RoleNone: "none", RoleRead: "read", RoleOperate: "operate", RoleAdmin: "admin"}

// String is the role's name.
func (r Role) String() string { return roleNames[r] }

// RoleOf reads the name of a role that a token may have.
func RoleOf(name string) (Role, error) {
	for role, known := range roleNames {
		if known == name && role != RoleNone {
			return role, nil
		}
	}
	return RoleNone, fmt.Errorf("no role is named %q: a token has read, operate or admin", name)
}

// Token is what somebody shows who does not come through the socket. Only its hash is known here.
type Token struct {
	Name string
	Hash string // "sha256:" and 64 hexadecimal digits
	Role Role
	Apps []string // services; empty: all
}

// Principal is who asks.
type Principal struct {
	Name  string // of a token, or of a user of this machine; "" for nobody
	Where string // the machine it comes from
	Role  Role
	Apps  []string // services; empty: all

	session string // the key of a browser's session; "" without one
}

// Sees tells whether the app is one of theirs.
func (p Principal) Sees(app state.App) bool {
	return p.Role >= RoleRead && (len(p.Apps) == 0 || slices.Contains(p.Apps, app.Service))
}

// May tells whether they have a role for an app.
func (p Principal) May(role Role, app state.App) bool { return p.Sees(app) && p.Role >= role }

// person is what the daemon notes.
func (p Principal) person() loop.Person { return loop.Person{Who: p.Name, Where: p.Where} }

// keyring knows tokens by their hashes.
type keyring struct {
	tokens []Token
	hashes [][]byte
}

func newKeyring(tokens []Token) (keyring, error) {
	k := keyring{tokens: slices.Clone(tokens)}
	names := map[string]bool{}
	for _, t := range tokens {
		digits, ok := strings.CutPrefix(t.Hash, "sha256:")
		hash, err := hex.DecodeString(digits)
		switch {
		case t.Name == "" || names[t.Name]:
			return keyring{}, fmt.Errorf("token %q: every token has a name of its own", t.Name)
		case !ok || err != nil || len(hash) != sha256.Size:
			return keyring{}, fmt.Errorf("token %q: its hash is not sha256: and 64 hexadecimal digits; `kamald store token` makes one", t.Name)
		case t.Role < RoleRead || t.Role > RoleAdmin:
			return keyring{}, fmt.Errorf("token %q: it has no role: read, operate or admin", t.Name)
		}
		names[t.Name] = true
		k.hashes = append(k.hashes, hash)
	}
	return k, nil
}

// find gives the token that was shown. The time it takes says nothing of how much of one was right: hashes are compared, all of
// them, each whole.
func (k keyring) find(shown string) (Token, bool) {
	hash := sha256.Sum256([]byte(shown))
	found := -1
	for i, known := range k.hashes {
		if subtle.ConstantTimeCompare(hash[:], known) == 1 {
			found = i
		}
	}
	if found < 0 || shown == "" {
		return Token{}, false
	}
	return k.tokens[found], true
}

// named gives a token by its name: a session holds no more of it.
func (k keyring) named(name string) (Token, bool) {
	i := slices.IndexFunc(k.tokens, func(t Token) bool { return t.Name == name })
	if i < 0 {
		return Token{}, false
	}
	return k.tokens[i], true
}
