package state

import (
	"fmt"
	"io/fs"
	"strings"
)

// accessoryMark begins the name under which an accessory stands where roles do: in plans, steps and files of secrets. No role's name has
// a slash in it.
const accessoryMark = "accessory/"

// AccessoryRole is the name under which an accessory stands where roles do.
func AccessoryRole(accessory string) string { return accessoryMark + accessory }

// AccessoryOf gives the accessory that stands under a role's name; false for a role.
func AccessoryOf(role string) (accessory string, ok bool) {
	return strings.CutPrefix(role, accessoryMark)
}

// FilesName is the name of an accessory's files among what is known of secrets: their digests are kept as those of secrets are.
func FilesName(role string) string { return role + "/files" }

// FilesOf gives the accessory's role whose files a name of FilesName is of; false for any other name.
func FilesOf(name string) (role string, ok bool) {
	role, ok = strings.CutSuffix(name, "/files")
	return role, ok && strings.HasPrefix(role, accessoryMark)
}

// OwnedAs is what the label LabelAccessory says on an accessory's container of the app.
func (a App) OwnedAs(accessory string) string { return a.String() + "/" + accessory }

// File is what is put on a host for a container: a file, or a directory, which has no digest.
type File struct {
	Digest string `json:"digest,omitempty"` // of its content: FileDigest, or a keyed one where secrets are in it; "" when not known
	Mode   string `json:"mode,omitempty"`   // as chmod takes it
	Owner  string `json:"owner,omitempty"`  // user:group, by number
}

// Lying is a file as it lies on a host, of which the content is not known: its permissions, and who owns it.
func Lying(mode fs.FileMode, user, group int) File {
	return File{Mode: fmt.Sprintf("%04o", mode.Perm()), Owner: fmt.Sprintf("%d:%d", user, group)}
}

// StopAsked finds the newest word on the stop of an accessory there, under its role's name; false when nobody has said one.
func (h Host) StopAsked(role string) (Intent, bool) { return h.about(IntentAccessoryStop, role) }

// Beside finds an image of an accessory by its ID, or by one of its tags or digests.
func (h Host) Beside(ref string) (Image, bool) {
	h.Images = h.AccessoryImages
	return h.Image(ref)
}
