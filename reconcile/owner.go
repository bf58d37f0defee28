package reconcile

import (
	"fmt"
	"os"
	"os/user"
	"strings"
)

// Owner says who holds a lock and who released: a person, a machine, a process.
type Owner struct {
	Who     string // user name
	Machine string // host name and process-number space: equal ones can tell whether the other's process lives
	PID     int
}

func (o Owner) String() string { return fmt.Sprintf("%s@%s pid %d", o.Who, o.Machine, o.PID) }

// Where is the machine's host name alone, for people.
func (o Owner) Where() string {
	name, _, _ := strings.Cut(o.Machine, "[")
	return name
}

// ThisProcess is the owner that this process is.
func ThisProcess() Owner {
	owner := Owner{Who: "unknown", Machine: "unknown", PID: os.Getpid()}
	if u, err := user.Current(); err == nil {
		owner.Who = u.Username
	}
	if name, err := os.Hostname(); err == nil {
		owner.Machine = name
	}
	// Two containers may have one host name and each a process 7; the namespace tells them apart, the boot tells restarts.
	space, _ := os.Readlink("/proc/self/ns/pid")
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	short, _, _ := strings.Cut(string(boot), "-")
	owner.Machine += "[" + strings.Trim(space, "pid:[]") + "/" + strings.TrimSpace(short) + "]"
	return owner
}
