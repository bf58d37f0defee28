package ruby

import (
	"fmt"
	"strings"
	"testing"
)

func TestProblemsSayLineAndSource(t *testing.T) {
	for _, c := range []struct {
		name, source, is string
		problems         []string // "line source: why", why by its beginning
	}{
		{"a condition that needs a run", "a: 1\n<% if ENV['X'] == 'y' %>\nb: 2\nc: 3\n<% else %>\nb: 4\n<% end %>\nd: 5\n", "{a: #1, d: #5}", []string{
			"2 <% if ENV['X'] == 'y' %>: a condition that only a run could tell", "3 b: 2: is left out with line 2", "4 c: 3: is left out with line 2",
			"5 <% else %>: is left out with line 2", "6 b: 4: is left out with line 2", "7 <% end %>: is left out with line 2"}},
		{"a condition within a line", "a: x-<% if ENV['X'] %>p<% else %>q<% end %>\n", "{a: x-‹unknown <% if ENV['X'] %>p<% else %>q<% end %>›}",
			[]string{"1 <% if ENV['X'] %>p<% else %>q<% end %>: a condition that only a run could tell"}},
		{"a ternary", "a: <%= ENV['X'] ? 'p' : 'q' %>\n", "{a: ‹unknown ENV['X'] ? 'p' : 'q'›}", []string{"1 ENV['X'] ? 'p' : 'q': a condition that only a run could tell"}},
		{"a modifier", "<% x = 1 %>\n<% x = 2 if ENV['X'] %>\na: <%= x %>\n", "{a: ‹unknown x = 2›}", []string{"2 x = 2 if ENV['X']: a condition that only a run could tell"}},
		{"what a left out branch sets is not known", "<% x = 1 %>\n<% if ENV['X'] %>\n<% x = 2 %>\n<% end %>\na: <%= x %>\n", "{a: ‹unknown <% if ENV['X'] %>\n<% x = 2 %>\n<% end %>›}",
			[]string{"2 <% if ENV['X'] %>: a condition that only a run could tell", "3 <% x = 2 %>: is left out with line 2", "4 <% end %>: is left out with line 2"}},
		{"a loop that needs a run", "a:\n<% ENV['H'].split(',').each do |h| %>\n  - <%= h %>\n<% end %>\n", "{a: null}",
			[]string{"2 <% ENV['H'].split(',').each do |h| %>: a loop over what only a run could tell", "3 - <%= h %>: is left out with line 2", "4 <% end %>: is left out with line 2"}},
		{"a loop that is left early", "a:\n<% [1, 2].each do |h| %>\n<% next if h == 1 %>\n  - <%= h %>\n<% end %>\n", "{a: null}", []string{"2 <% [1, 2].each do |h| %>: a loop",
			"3 <% next if h == 1 %>: is left out with line 2", "4 - <%= h %>: is left out with line 2", "5 <% end %>: is left out with line 2"}},
		{"require and Dotenv", "<% require 'dotenv'; Dotenv.load('.env') %>\na: 1\n", "{a: #1}", []string{"1 require 'dotenv': loads Ruby", "1 Dotenv.load('.env'): loads Ruby"}},
		{"the environment is set", "<% ENV['X'] ||= 'y' %>\na: 1\n", "{a: #1}", []string{"1 ENV['X'] ||= 'y': sets a variable of the environment"}},
		{"a statement that is not understood", "<% def f = 1 %>\n<% puts Rails.env %>\na: 1\n", "", nil},
		{"an unknown in a statement", "<% x = Rails.env %>\na: <%= x %>\n", "{a: ‹unknown Rails.env›}", []string{"1 x = Rails.env: Ruby that is not understood"}},
		{"no end", "a: 1\n<% if true %>\nb: 2\n", "{a: #1}", []string{"2 <% if true %>: a block that has no end", "3 b: 2: is left out with line 2"}},
		{"an end too many", "a: 1\n<% end %>\n", "{a: #1}", []string{"2 end: ends a block that was not begun"}},
		{"lines that only a run could tell", "a:\n  b: 1\n<%= hosts %>\nc: 2\n", "{a: {b: #1}, c: #2}", []string{"3 <%= hosts %>: stands where no text does"}},
		{"a line that is no part of the one before", "a: x\n  <%= hosts %>\nc: 2\n", "{a: x, c: #2}", []string{"2 <%= hosts %>: stands where no text does"}},
		{"the name of an anchor", "a: &<%= x %> 1\n", "{a: #1}", []string{"1 <%= x %>: stands where no text does"}},
		{"a key written twice", "a:\n  b: 1\n  c: 2\n  b: 3\n", "{a: {b: #3, c: #2}}", []string{"4 b:: the key is written twice, first in line 2"}},
		{"two documents", "a: 1\n---\nb: 2\n", "{a: #1}", []string{"2 ---: a second document"}},
		{"an object", "a: !ruby/object:Gem::Version 1\nb: !ruby/hash:Foo {c: d}\n", "{a: 1, b: {c: d}}", []string{"1 !ruby/object:Gem::Version: makes an object", "2 !ruby/hash:Foo: makes an object"}},
		{"a key that is no text", "? [a, b]\n: 1\n", "{[a, b]: #1}", []string{"1 ?: a key that is no text"}},
		{"nothing to merge", "a:\n  <<: 5\n", "{a: {<<: #5}}", []string{"2 <<:: what is to be merged is no mapping"}},
		{"an alias within itself", "a: &x [1, *x]\n", "{a: [#1, null]}", []string{"1 *x: the alias stands within what it names"}},
		{"secrets are not shown", "<% if x %>\nDB_PASSWORD: hunter2\ntoken: \"abc\"\n<% API_KEY = 'zzz' %>\n<% end %>\n", "null", []string{"1 <% if x %>: a condition",
			"2 DB_PASSWORD: …: is left out", "3 token: …: is left out", "4 <% API_KEY = …: is left out", "5 <% end %>: is left out"}},
		{"nor in Ruby", "<% if ENV.fetch('DB_PASSWORD', 'hunter2') || ENV['API_TOKEN'] || 'abc' %>\n<% end %>\n", "null", []string{
			"1 <% if ENV.fetch('DB_PASSWORD', …) || ENV['API_TOKEN'] || … %>: a condition", "2 <% end %>: is left out"}},
		{"in comments nothing is amiss", "a: 1\n# b: <%= ENV['X'] ? 1 : 2 %>\n# <% if ENV['X'] %>\n#   c: 1\n# <% end %>\n", "{a: #1}", nil},
	} {
		n, problems, err := Read("deploy.yml", []byte(c.source))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := sketch(n); got != c.is && c.is != "" {
			t.Errorf("%s: is %s, want %s", c.name, got, c.is)
		}
		if c.is != "" && len(problems) != len(c.problems) || c.is == "" && len(problems) == 0 {
			t.Errorf("%s: problems %v", c.name, problems)
			continue
		}
		for i, want := range c.problems {
			if got := fmt.Sprintf("%d %s: %s", problems[i].Line, problems[i].What, problems[i].Why); !strings.HasPrefix(got, want) || problems[i].File != "deploy.yml" {
				t.Errorf("%s: says %q, want %q", c.name, got, want)
			}
		}
	}
}

// A block of many lines is one problem, and no line of it is missing.
func TestALongBlockIsToldOfInOne(t *testing.T) {
	source := "a: 1\n<% if ENV['X'] %>\n" + strings.Repeat("# a comment\nb: 2\n", 500) + "<% end %>\n"
	_, problems, err := Read("deploy.yml", []byte(source))
	if err != nil || len(problems) != 2 {
		t.Fatalf("%d problems, %v", len(problems), err)
	}
	if p := problems[1]; p.Line != 3 || p.Last != 1003 || p.What != "# a comment" || p.Why != "is left out with line 2" {
		t.Errorf("it says %+v", p)
	}
}

// What goes beyond the bound is counted.
func TestProblemsBeyondTheBoundAreCounted(t *testing.T) {
	_, problems, err := Read("deploy.yml", []byte(strings.Repeat("<% puts Rails.env %>\n", maxProblems+50)))
	if err != nil || len(problems) != maxProblems || !strings.HasPrefix(problems[maxProblems-1].Why, "and 51 more") {
		t.Errorf("%d problems, the last %+v, %v", len(problems), problems[len(problems)-1], err)
	}
}

func TestErrorsSayFileAndLineAndNoValue(t *testing.T) {
	deep := strings.Repeat("[", 150) + strings.Repeat("]", 150)
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 10), ", "))
	}
	for _, c := range []struct{ name, source, says string }{
		{"no YAML", "a: 1\npassword: 'hunter2\n", "deploy.yml:3: not YAML: "},
		{"no YAML behind ERB of several lines", "<%\n\n%>\na: <%= 1 %>\nb: <%=\n'x'\n%>: y\n", "deploy.yml:5: not YAML: mapping values are not allowed"},
		{"a tab", "a:\n\tb: 1\n", "deploy.yml:2: not YAML: found character that cannot start any token: YAML indents with spaces, and this line begins with a tab"},
		{"an alias of nothing", "a: 1\nb: *hunter2x\n", "deploy.yml:2: not YAML: unknown anchor"},
		{"a tag that is not closed", "a: 1\nb: <%= x\n", "deploy.yml:2: <% has no %>"},
		{"aliases in aliases", bomb, "deploy.yml:5: more than 100000 values"},
		{"merges in merges", strings.ReplaceAll(strings.ReplaceAll(bomb, "[x, x", "[{y: z}, x"), "k: &k [", "k: ["), "deploy.yml:5: more than 100000 values"},
		{"too deep", "a:\n  b: " + deep, "deploy.yml:2: more than 100 mappings"},
		{"too large", "a: " + strings.Repeat("x", maxSource), "deploy.yml has 1048579 bytes"},
		{"no UTF-8", "a: 1\nb: \xff\n", "deploy.yml:2: not UTF-8"},
		{"too many rounds", "<% 50000.times do |i| %><% 50000.times do |j| %><% end %><% end %>", "deploy.yml:1: more than 200000 steps"},
		{"too much text", "<% 90000.times do |i| %>" + strings.Repeat("# x\n", 100) + "<% end %>", "deploy.yml:1: what ERB makes of the file is larger"},
		{"too many blocks in one another", strings.Repeat("<% if true %>", 200), "deploy.yml: more than 100 blocks"},
	} {
		_, _, err := Read("deploy.yml", []byte(c.source))
		if err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: says %v, want %s", c.name, err, c.says)
		} else if strings.Contains(err.Error(), "hunter2'") || strings.Contains(err.Error(), "hunter2\n") {
			t.Errorf("%s: shows the value: %v", c.name, err)
		}
	}
}

func TestDeepRubyIsNotUnderstoodAndEndsSoon(t *testing.T) {
	for _, open := range []string{"(", "[", "!", "-", "{a: ", `"#{`, "x ? ", "a.b(", "not "} {
		n, _, err := Read("deploy.yml", []byte("a: <%= "+strings.Repeat(open, 50_000)+" %>\n"))
		if err != nil || n.Get("a").Parts[0].Expr.Kind != Unknown {
			t.Errorf("%s: %v", open, err)
		}
	}
}
