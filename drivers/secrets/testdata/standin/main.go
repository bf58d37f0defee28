// The stand-in for vendors' programs: under a vendor's name it answers as its script says, in the script's order, and notes what it
// was called with.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// scriptVariable names the file with the calls that are to come.
const scriptVariable = "SECRETS_STANDIN"

// call is one of them, in the form that the tests write.
type call struct {
	Line   string
	Env    map[string]string
	Stdin  string
	Out    string
	Err    string
	Code   int
	Forget bool
}

func main() { os.Exit(standIn(os.Getenv(scriptVariable))) }

func standIn(script string) int {
	line := spoken(filepath.Base(os.Args[0]), os.Args[1:])
	var calls []call
	data, err := os.ReadFile(script)
	if err == nil {
		err = json.Unmarshal(data, &calls)
	}
	if err != nil {
		return unexpected(script, err.Error())
	}
	made := len(lines(script + ".made"))
	if err := appendLine(script+".made", line); err != nil {
		return unexpected(script, err.Error())
	}
	if made >= len(calls) || calls[made].Line != line {
		return unexpected(script, fmt.Sprintf("call %d: got  %s", made+1, line))
	}
	c := calls[made]
	for name, want := range c.Env {
		if got := os.Getenv(name); got != want {
			return unexpected(script, fmt.Sprintf("%s: $%s is %q", line, name, got))
		}
	}
	if got, _ := io.ReadAll(os.Stdin); string(got) != c.Stdin {
		return unexpected(script, fmt.Sprintf("%s: standard input is %q", line, got))
	}
	_, _ = io.WriteString(os.Stdout, c.Out)
	_, _ = io.WriteString(os.Stderr, c.Err)
	if c.Forget {
		time.Sleep(time.Hour)
	}
	return c.Code
}

func unexpected(script, what string) int {
	_ = appendLine(script+".unexpected", what)
	return 97
}

func spoken(program string, args []string) string {
	words := []string{program}
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \n") {
			arg = "⟨" + arg + "⟩"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

func lines(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, line+"\x00")
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
