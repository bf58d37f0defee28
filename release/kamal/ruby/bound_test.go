package ruby

import (
	"os"
	"strings"
	"testing"
)

// Each of these would take minutes or all memory, were what is read not bounded; the test's own time limit would end it.
func TestWhatGrowsWithoutBoundsIsGivenUp(t *testing.T) {
	n := 9_000
	if os.Getenv("KAMALD_LONG") != "" {
		n = 45_000
	}
	for name, source := range map[string]string{
		"a list doubled":          "<% x = ['a'] %>" + strings.Repeat("<% x += x %>", 60) + "a: <%= x %>\n",
		"lists in lists":          "<% x = ['a'] %>" + strings.Repeat("<% x = [x, x] %>", 60) + "a: <%= x %>\n",
		"hashes in hashes":        "<% x = 1 %>" + strings.Repeat("<% x = { a: x, b: x } %>", 60) + "a: <%= x.to_json %>\n",
		"a text doubled":          "<% x = 'aaaaaaaa' %>" + strings.Repeat("<% x = x + x %>", 60) + "a: <%= x %>\n",
		"a text in a text":        "<% x = 'aaaaaaaa' %>" + strings.Repeat(`<% x = "#{x}#{x}#{x}#{x}#{x}" %>`, 30) + "a: <%= x %>\n",
		"a text many times":       "<% x = 'a' * 4000000 %>a: <%= \"" + strings.Repeat("#{x}", 100_000) + "\" %>\n",
		"a text replaced":         "<% x = 'a' * 2000000 %>a: <%= x.gsub('a', x).gsub('a', x) %>\n",
		"a list that grows":       "<% x = [] %><% 99999.times do |i| %><% x << i %><% end %>a: <%= x.size %>\n",
		"an expression that does": "<% x = ENV['A'] %><% 99999.times do |i| %><% x = x.strip %><% end %>a: <%= x %>\n",
		"a fallback that does":    "<% x = ENV['A'] %><% 99999.times do |i| %><% x = x || ENV['B'] %><% end %>a: <%= x %>\n",
		"a loop in a loop":        "<% 99999.times do |i| %><% 99999.times do |j| %># x\n<% end %><% end %>",
		"a map in a map":          "a: <%= 99999.times.map { |i| 99999.times.map { |j| i } } %>\n",
		"strings in strings":      "a: <%= " + strings.Repeat(`"#{`, 300) + "1" + strings.Repeat(`}"`, 300) + " %>\n",
		"a long line":             "a: [" + strings.Repeat("ü, ", n) + "]\n",
		"a long line of tags":     "a: [" + strings.Repeat("<%= x %>, ", n) + "]\n",
		"a long line of branches": "a: " + strings.Repeat("<% if x %>b<% end %>", n) + "\n",
		"lines of comments":       strings.Repeat("# x\n\n", 4*n) + "a: 1\n",
		"statements in comments":  "# " + strings.Repeat("<% x %>", 2*n) + "\n",
		"keys written twice":      "{" + strings.Repeat("ä: 1, ", n) + "}\n",
		"brackets":                strings.Repeat("[", 20*n),
		"questions":               strings.Repeat("? ", 10*n),
		"quotes":                  "a: <%= " + strings.Repeat(`"`, 20*n+1) + " %>\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, problems, err := Read("deploy.yml", []byte(source)); err == nil && len(problems) > maxProblems {
				t.Errorf("%d problems", len(problems))
			}
		})
	}
}
