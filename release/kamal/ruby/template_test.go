package ruby

import (
	"fmt"
	"strings"
	"testing"
)

// sketch writes a tree on one line: what ERB left open stands in ‹›.
func sketch(n *Node) string {
	var b strings.Builder
	switch {
	case n.Parts != nil:
		for _, p := range n.Parts {
			b.WriteString(sketchPart(p))
		}
	case n.Kind == Sequence:
		for i, item := range n.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(sketch(item))
		}
		return "[" + b.String() + "]"
	case n.Kind == Mapping:
		for i, e := range n.Entries {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(sketch(e.Key) + ": " + sketch(e.Value))
		}
		return "{" + b.String() + "}"
	case n.Kind == Null:
		return "null"
	case n.Kind == Int || n.Kind == Float || n.Kind == Bool:
		return "#" + n.Text
	default:
		return n.Text
	}
	return b.String()
}

func sketchPart(p Part) string {
	if p.Expr == nil {
		return p.Text
	}
	x := p.Expr
	text := []string{"unknown", "env", "command", "file"}[x.Kind] + " " + x.Name
	if x.Kind == Unknown {
		text = "unknown " + x.Source
	}
	if x.Required {
		text += "!"
	}
	for i, d := range x.Default {
		if i == 0 {
			text += " or "
		}
		text += sketchPart(d)
	}
	for _, c := range x.Calls {
		text += "." + c.Method
		if c.Args != nil {
			text += fmt.Sprintf("%q", c.Args)
		}
	}
	return "‹" + text + "›"
}

func TestExpressionsAreKnownOrKept(t *testing.T) {
	for _, c := range []struct{ ruby, is string }{
		// What is known is put in as Ruby prints it, and read as YAML.
		{`"x"`, "x"}, {`'x' + "y"`, "xy"}, {`1 + 2 * 3`, "#7"}, {`(1 + 2) * 3`, "#9"}, {`10 / 3`, "#3"}, {`"y" "es"`, "#true"}, {`nil`, "null"},
		{`%w[a b]`, "[a, b]"}, {`%w[a b].to_json`, "[a, b]"}, {`[1, "b", nil].to_json`, "[#1, b, null]"}, {`{a: 1, "b" => [1]}.to_json`, "{a: #1, b: [#1]}"},
		{`"hello"[0..2]`, "hel"}, {`"hello"[0, 2]`, "he"}, {`"hello"[-3..]`, "llo"}, {`"hello"[1...-1]`, "ell"}, {`"hello"[9]`, "null"},
		{`" x ".strip`, "x"}, {`"x\n".chomp`, "x"}, {`"ab".upcase`, "AB"}, {`"AB".downcase.freeze`, "ab"}, {`"12abc".to_i + 1`, "#13"},
		{`"a,b,,c,,".split(",")`, "[a, b, , c]"}, {`"a,b".split(",").first`, "a"}, {`%w[a b c].last(2).join("-")`, "b-c"},
		{`(1..3).to_a`, "[#1, #2, #3]"}, {`(1..2).map { |i| "h#{i}" }.join(" ")`, "h1 h2"}, {`"web-%02d" % 3`, "web-03"}, {`format("%s:%d", "a", 5)`, "a:5"},
		{`true ? "a" : "b"`, "a"}, {`nil || "y"`, "y"}, {`"x" == "y" ? 1 : 2`, "#2"}, {`!nil`, "#true"}, {`%q(x (y) z)`, "x (y) z"}, {`"q\"q"`, `q"q`},
		{`"#{"nested #{1}"}"`, "nested 1"}, {`%w[a b].map(&:upcase).join`, "AB"}, {`[["a", 1]].map { |k, v| "#{k}=#{v}" }.first`, "a=1"}, {`File.join("a", "b")`, "a/b"},
		{`"a" if true`, "a"}, {`"a" unless true`, "null"}, {`:web`, "web"}, {`"a.b".tr(".", "-")`, "a-b"}, {`7.to_s.rjust(3, "0")`, "#7"},
		// What a run alone could tell is kept.
		{`ENV["X"]`, "‹env X›"}, {`ENV['X']`, "‹env X›"}, {`ENV.fetch("X")`, "‹env X!›"}, {`ENV.fetch("X", "y")`, "‹env X or y›"},
		{`ENV.fetch("X") { "y" }`, "‹env X or y›"}, {`ENV.fetch("X", nil)`, "‹env X›"}, {`ENV.fetch("X", "")`, "‹env X or ›"}, {`ENV["X"] || "y"`, "‹env X or y›"},
		{`ENV["X"] || ENV["Y"] || "z"`, "‹env X or ‹env Y or z››"}, {`ENV["X"] || raise("set X")`, "‹env X!›"}, {`ENV.fetch("X") { abort "set X" }`, "‹env X!›"},
		{`ENV["X"] || ENV.fetch("Y")`, "‹env X or ‹env Y!››"}, {`ENV.fetch("PORT", 3000)`, "‹env PORT or 3000›"}, {`"a#{ENV["X"]}b"`, "a‹env X›b"}, {`ENV["X"] + "-b"`, "‹env X›-b"},
		{`ENV["X"].strip.upcase`, "‹env X.strip.upcase›"}, {`ENV.fetch("X").split(",")`, `‹env X!.split[","]›`}, {`ENV["X"]&.strip || "y"`, "‹env X or y.strip›"},
		{`ENV["X"].strip || " y "`, `‹unknown ENV["X"].strip || " y "›`}, {`ENV["X"][0..6]`, `‹env X.[]["0..6"]›`}, {`ENV["X"][0, 7]`, `‹env X.[]["0" "7"]›`},
		{`ENV["X"].split(",").map(&:strip).to_json`, `‹env X.split[","].map["&:strip"].to_json›`}, {`ENV["X"].to_s.to_i`, "‹env X.to_i›"},
		{`%x(git rev-parse HEAD).strip[0, 7]`, `‹command git rev-parse HEAD.strip.[]["0" "7"]›`}, {"`date`.chomp", "‹command date.chomp›"},
		{`File.read(".ruby-version").strip`, "‹file .ruby-version.strip›"}, {`[ENV["A"], "b"].to_json`, "[‹env A›, b]"}, {`[ENV["A"], "b"].join(",")`, "‹env A›,b"},
		{`{ "FOO" => 1 }.merge(x)`, `‹unknown { "FOO" => 1 }.merge(x)›`}, {`Rails.env`, "‹unknown Rails.env›"}, {`Rails.root.join("x").read`, `‹unknown Rails.root.join("x").read›`},
		{`ENV["X"] == "y"`, `‹unknown ENV["X"] == "y"›`}, {`ENV[name]`, "‹unknown ENV[name]›"}, {`ENV["X"].gsub(/a/, "b")`, `‹unknown ENV["X"].gsub(/a/, "b")›`},
		{`%x(rm -rf #{ENV["X"]})`, `‹unknown %x(rm -rf #{ENV["X"]})›`}, {`system("reboot")`, `‹unknown system("reboot")›`}, {`<<~X`, "‹unknown <<~X›"}, {`)(`, "‹unknown )(›"},
	} {
		n, problems, err := Read("deploy.yml", []byte("a: <%= "+c.ruby+" %>\n"))
		if err != nil {
			t.Errorf("%s: %v", c.ruby, err)
		} else if got := sketch(n); got != "{a: "+c.is+"}" || len(problems) > 0 {
			t.Errorf("%s is %s, want {a: %s}; problems %v", c.ruby, got, c.is, problems)
		}
	}
}

func TestStatementsAreRunAsFarAsTheyAreKnown(t *testing.T) {
	for _, c := range []struct{ name, source, is string }{
		{"a variable", "<% x = 5; y = x + 1 %>\na: <%= y %>\n", "{a: #6}"},
		{"a variable of the environment", "<% tag = ENV.fetch('TAG', 'latest') %>\na: app:<%= tag.strip %>\n", "{a: app:‹env TAG or latest.strip›}"},
		{"a default", "<% x ||= 'd' %>\na: <%= x %>\n", "{a: d}"},
		{"a constant", "<% HOSTS = %w[a b].freeze %>\na: <%= HOSTS %>\n", "{a: [a, b]}"},
		{"a list that grows", "<% x = [] %><% x << 'p' %><% x.push('q') %><% x += %w[r] %>\na: <%= x %>\n", "{a: [p, q, r]}"},
		{"a list over several lines", "<%\n  x = [\n    'p',\n    'q',\n  ]\n     .map { |h| h * 2 }\n%>\na: <%= x.join(',') %>\n", "{a: pp,qq}"},
		{"a loop", "a:\n<% %w[x y].each do |h| %>\n  - <%= h %>\n<% end %>\n", "{a: [x, y]}"},
		{"a loop with trimmed tags", "a:\n  <%- %w[x y].each do |h| -%>\n  - <%= h %>\n  <%- end -%>\nb: 1\n", "{a: [x, y], b: #1}"},
		{"times", "a:\n<% 2.times do |i| %>\n  - h<%= i + 1 %>\n<% end %>\n", "{a: [h1, h2]}"},
		{"a range and braces", "a:\n<% (1..2).each { |i| %>\n  - h<%= i %>\n<% } %>\n", "{a: [h1, h2]}"},
		{"for", "a:\n<% for i in 1..2 %>\n  - <%= i %>\n<% end %>\n", "{a: [#1, #2]}"},
		{"an index", "a:\n<% %w[x y].each.with_index(1) do |h, i| %>\n  - <%= h %><%= i %>\n<% end %>\n", "{a: [x1, y2]}"},
		{"a hash in a hash", "<% h = { web: %w[p q], job: %w[r] } %>\n<% h.each do |r, hosts| %>\n<%= r %>:\n<% hosts.each do |x| %>\n  - <%= x %>\n<% end %>\n<% end %>\n", "{web: [p, q], job: [r]}"},
		{"a loop over expressions", "a:\n<% [ENV['A'], 'b'].each do |h| %>\n  - <%= h %>\n<% end %>\n", "{a: [‹env A›, b]}"},
		{"a parameter ends with its block", "<% x = 1 %><% [2].each do |x| %>\na: <%= x %>\n<% end %>\nb: <%= x %>\n", "{a: #2, b: #1}"},
		{"a known condition", "<% if 1 == 2 %>\na: 1\n<% elsif true %>\na: 2\n<% else %>\na: 3\n<% end %>\n", "{a: #2}"},
		{"unless", "<% unless false %>\na: 1\n<% else %>\na: 2\n<% end %>\n", "{a: #1}"},
		{"comments of Ruby", "<% # x = 1\n y = 2 # z %>\na: <%= y %>\n", "{a: #2}"},
		{"comments of ERB", "a: b<%# c %>\n<%#\n  d: e\n%>\nf: g\n", "{a: b, f: g}"},
		{"tags written out", "a: <%% x %>\nb: '<%= \"%%>\" %>'\n", "{a: <% x %>, b: %>}"},
		{"in quotes, in blocks, in keys, in flows", "<%= ENV['K'] %>: \"<%= ENV['Q'] %>!\"\nb: |\n  <%= ENV['B'] %>\n  x\nc: [<%= ENV['F'] %>, {d: <%= 'e' %>}]\n", "{‹env K›: ‹env Q›!, b: ‹env B›\nx\n, c: [‹env F›, {d: e}]}"},
	} {
		n, problems, err := Read("deploy.yml", []byte(c.source))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := sketch(n); got != c.is || len(problems) > 0 {
			t.Errorf("%s: is %s, want %s; problems %v", c.name, got, c.is, problems)
		}
	}
}

func TestAnExpressionSaysHowItIsWrittenAndWhere(t *testing.T) {
	n, _, err := Read("deploy.yml", []byte("<% tag = ENV['TAG'] %>\n\nimage: \"app:<%= tag.strip %>\" # <%= tag %>\n"))
	if err != nil {
		t.Fatal(err)
	}
	image := n.Get("image")
	if image.Text != "app:" || image.Written != "app:<%= tag.strip %>" || !image.Quoted || image.Kind != String || image.Known() {
		t.Errorf("the value is %+v", image)
	}
	if x := image.Parts[1].Expr; x.Source != "ENV['TAG'].strip" || x.Line != 3 {
		t.Errorf("the expression is %+v", x)
	}
	if n, _, err = Read("deploy.yml", []byte("a: x<%= \"#{ENV['A']}-#{ENV['B']}\" %>\n")); err != nil || n.Get("a").Written != "x<%= ENV['A'] %>-<%= ENV['B'] %>" {
		t.Errorf("expressions in one tag are written %q, %v", n.Get("a").Written, err)
	}
	if image.Comment.Line != "<%= tag %>" {
		t.Errorf("the comment is %q", image.Comment.Line)
	}
}
