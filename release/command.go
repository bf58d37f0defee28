package release

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// splitCommand splits a command as a shell would, quotes and backslashes included. What a shell would expand is refused: no
// shell stands between the release and its container.
func splitCommand(command string) ([]string, error) {
	var words []string
	var problem error
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
	for word, err := range parser.WordsSeq(strings.NewReader(command)) {
		if err != nil {
			return nil, fmt.Errorf("it is more than one simple command (%w)", err)
		}
		if problem = plainWord(word); problem != nil {
			return nil, problem
		}
		fields, err := expand.Fields(&expand.Config{Env: expand.ListEnviron()}, word)
		if err != nil {
			return nil, err
		}
		words = append(words, fields...)
	}
	return words, nil
}

func plainWord(word *syntax.Word) error {
	var problem error
	syntax.Walk(word, func(node syntax.Node) bool {
		switch node.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst, *syntax.ArithmExp, *syntax.ProcSubst:
			problem = fmt.Errorf(`a shell would expand a part of it, and there is none; write ["sh", "-c", "…"] for one`)
		}
		return true
	})
	return problem
}
