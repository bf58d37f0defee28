package ruby

import (
	"strings"
	"testing"
)

// marginal lists all comments of a tree: whose they are, where, and what they say.
func marginal(n *Node, name string, all *[]string) {
	note := func(owner string, c Comment) {
		if c.Head != nil {
			*all = append(*all, "above "+owner+": "+strings.Join(c.Head, "|"))
		}
		if c.Line != "" {
			*all = append(*all, "behind "+owner+": "+c.Line)
		}
		if c.Foot != nil {
			*all = append(*all, "below "+owner+": "+strings.Join(c.Foot, "|"))
		}
	}
	note(name, n.Comment)
	for _, e := range n.Entries {
		note(e.Key.Text, Comment{Head: e.Key.Comment.Head})
		if e.Key.Comment.Line != "" || e.Key.Comment.Foot != nil {
			*all = append(*all, "a key has what is its value's")
		}
		marginal(e.Value, e.Key.Text, all)
	}
	for _, item := range n.Items {
		marginal(item, "- "+sketch(item), all)
	}
}

func TestCommentsStayWithWhatTheyAreAbout(t *testing.T) {
	for _, c := range []struct {
		name, source string
		are          []string
	}{
		{"above a key", "# one\n#  two\na: 1\n", []string{"above a: one| two"}},
		{"behind a value", "a: 1 # x\nb: 'y # z' # w\n", []string{"behind a: x", "behind b: w"}},
		{"behind a key whose value is below", "a: # x\n  - b # y\nc: # z\n", []string{"behind a: x", "behind - b: y", "behind c: z"}},
		{"between items", "a:\n  # x\n  - b\n  # y\n  - c\n", []string{"above - b: x", "above - c: y"}},
		{"behind a dash", "a:\n  - # x\n    b: 1\n", []string{"above - {b: #1}: x"}},
		{"with items that are indented as their key", "a:\n# x\n- b\n# y\n- c\n# z\nd: 1\n", []string{"above - b: x", "above - c: y", "above d: z"}},
		{"commented out at the end of a mapping", "a:\n  b: 1\n  # c: 2\nd: 3\n", []string{"below b: c: 2"}},
		{"commented out at the end of mappings", "a:\n  b:\n    c: 1\n    # d: 2\n  # e:\n  #   f: 3\n# g\nh: 1\n", []string{"below b: e:|  f: 3", "below c: d: 2", "above h: g"}},
		{"below an empty value", "a:\n  # b: 1\nc: 2\n", []string{"below a: b: 1"}},
		{"right below, with a blank line after", "a: 1\n# b: 2\n\nc: 3\n", []string{"below a: b: 2"}},
		{"apart from both", "a: 1\n\n# x\n\n# y\nb: 2\n", []string{"above b: x||y"}},
		{"at the end", "a:\n  b: 1\n# x\n\n# y\n", []string{"below a: x||y"}},
		{"in a flow", "a: [\n  b, # x\n  # y\n  c\n] # z\nd: {e: [1]} # w\n", []string{"behind a: z", "behind - b: x", "above - c: y", "behind d: w"}},
		{"not in blocks", "a: |\n  # no\n  x\n # yes\nb: >-\n\n  # no\nc: 1\n", []string{"below a: yes"}},
		{"not in blocks whose indentation is given", "a:\n  b: |2\n      x\n    # no\n  # yes\n  c: 1\n", []string{"above c: yes"}},
		{"behind a block's header", "a: | # x\n  y\nb: 1\n", []string{"behind a: x"}},
		{"not in quotes of several lines", "a: \"x\n  # no\n  \\\" # no\"\nb: 'it''s\n  # no'\nc: 1 # yes\n", []string{"behind c: yes"}},
		{"with anchors and tags", "a: &x !!str 'b # no' # yes\n# head\nc: *x # line\n", []string{"behind a: yes", "above c: head", "behind c: line"}},
		{"above a merge key", "x: &x {y: 1}\na:\n  # all\n  <<: *x\n  b: 1\n", []string{"above y: all"}},
		{"no comment", "a: b#c\nd: '#'\ne: f #\n", nil},
		{"with a document's beginning", "# x\n--- # y\na: 1\n", []string{"above a: x||y"}},
		{"alone", "# x\n\n# y\n", []string{"above : x||y"}},
		{"with line breaks of two characters", "# x\r\na: 1 # y\r\n", []string{"above a: x", "behind a: y"}},
		{"with lines of ERB between", "# x\n<% y = 1 %>\n<%# z %>\na: 1\n# b\n<% w = 2 %>\nc: 2\n", []string{"above a: x", "above c: b"}},
		{"with tags of ERB in them", "# port: <%= ENV['PORT'] %>\na: 1 # <%= Rails.env %>!\n", []string{"above a: port: <%= ENV['PORT'] %>", "behind a: <%= Rails.env %>!"}},
		{"in a loop", "<% 2.times do |i| %>\n# host\na<%= i %>: 1\n<% end %>\n", []string{"above a0: host", "above a1: host"}},
		{"not copied by an alias", "a: &x\n  # b\n  c: 1\nd: *x\n", []string{"above c: b"}},
	} {
		n, problems, err := Read("deploy.yml", []byte(c.source))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var are []string
		marginal(n, "", &are)
		if strings.Join(are, "\n") != strings.Join(c.are, "\n") || len(problems) > 0 {
			t.Errorf("%s: are %q, want %q; problems %v", c.name, are, c.are, problems)
		}
	}
}
