package ruby

import (
	"fmt"
	"regexp"
	"slices"
)

// element is a part of a template: a token, a statement, or a block with its branches.
type element struct {
	token     token // of a statement and a block, the tag that it begins in
	statement *statement
	branches  []branch // of a block: if and else, or the one body of a loop
	to        int      // of a block: where it ends in the file
	closed    bool
}

// branch is what a head decides on.
type branch struct {
	head statement
	body []element
}

// structure finds the blocks that go over several tags. A tag that ends no block comes as a statement of its own.
func structure(tokens []token) ([]element, error) {
	root := element{branches: []branch{{}}}
	stack := []*element{&root}
	add := func(e element) {
		top := stack[len(stack)-1]
		last := &top.branches[len(top.branches)-1]
		last.body = append(last.body, e)
	}
	pop := func(to int) {
		top := *stack[len(stack)-1]
		top.to = to
		stack = stack[:len(stack)-1]
		add(top)
	}
	for _, t := range tokens {
		if t.kind != codeToken {
			add(element{token: t})
			continue
		}
		for _, s := range parseStatements(t.text) {
			switch {
			case s.kind == openStatement && len(stack) > maxNesting:
				return nil, fmt.Errorf("more than %d blocks of Ruby in one another", maxNesting)
			case s.kind == openStatement:
				stack = append(stack, &element{token: t, branches: []branch{{head: s}}})
			case s.kind == middleStatement && len(stack) > 1:
				top := stack[len(stack)-1]
				top.branches = append(top.branches, branch{head: s})
			case s.kind == closeStatement && len(stack) > 1:
				stack[len(stack)-1].closed = true
				pop(t.to)
			default:
				add(element{token: t, statement: &s})
			}
		}
	}
	for len(stack) > 1 {
		pop(tokens[len(tokens)-1].to)
	}
	return root.branches[0].body, nil
}

// jumps tells whether a loop's body may leave a round early.
func jumps(body []element) bool {
	return slices.ContainsFunc(body, func(e element) bool {
		if e.statement != nil && early.MatchString(e.statement.source) {
			return true
		}
		return slices.ContainsFunc(e.branches, func(b branch) bool { return jumps(b.body) })
	})
}

var early = regexp.MustCompile(`^(?:next|break|redo|return)\b`)
