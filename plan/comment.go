package plan

import (
	"fmt"
	"strings"
)

// commentLimit is how many characters GitHub takes in a comment.
const commentLimit = 65536

// ending has room for what is said instead of the rest.
const ending = 400

// Fitted cuts a Markdown text between two lines so that it fits into a comment, and says what was left out, and which command shows
// all of it. The last lines, which sum it up, stay.
func Fitted(what, text, last, command string) string {
	if len(text)+len(last) <= commentLimit { // bytes are never fewer than characters
		return text + last
	}
	if room := commentLimit / 4; len(last) > room {
		last = "\n" + strings.ToValidUTF8(last[:room], "") + " …\n"
	}
	cut := strings.LastIndexByte(text[:commentLimit-ending-len(last)], '\n') + 1
	left := strings.Count(text[cut:], "\n")
	return text[:cut] + fmt.Sprintf("\n*%s is longer than a comment may be: %s left out here. `%s` shows all of it.*\n", what, number(left, "line"), command) + last
}
