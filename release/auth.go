package release

// Auth is what a registry wants to see. The zero value is anonymous.
type Auth struct {
	Server   string
	Username string
	Password Secret
}
