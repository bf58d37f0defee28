package release

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// mark is what a value carries that is no ordinary text. A marked value keeps its mark through every function and operator, so
// that a reference which was joined, cut or compared is found out.
type mark string

const (
	markSecret  mark = "secret"
	markHostEnv mark = "host_env"
)

// placeholder is what stands for a reference while expressions are evaluated: a value that is marked and does not look like
// this was made of a reference and something else.
func (m mark) placeholder(name string) string { return "\x01" + string(m) + "\x02" + name }

// name is the reference's name, false when the text is not the placeholder whole.
func (m mark) name(placeholder string) (string, bool) {
	return strings.CutPrefix(placeholder, "\x01"+string(m)+"\x02")
}

func (m mark) function() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if !variableName.MatchString(name) {
				return cty.NilVal, fmt.Errorf("%q is not a name: letters, digits, _ . and -", name)
			}
			if m == markHostEnv {
				return cty.StringVal(hostPlaceholder(name)).Mark(m), nil
			}
			return cty.StringVal(m.placeholder(name)).Mark(m), nil
		},
	})
}

// named is a function with its line of the reference.
type named struct {
	name, use, meaning string
	call               function.Function
}

// vocabulary is what expressions can call; file() is relative to dir.
func (l *loader) vocabulary(dir string) []named {
	return []named{
		{"env", `env("NAME", "default")`, "a variable of the environment that kamald runs in; without a default it must be set", l.envFunction()},
		{"secret", `secret("NAME")`, "a reference to a secret, where one is taken; its value stands in the secrets files and is read when it is needed", markSecret.function()},
		{"host_env", `host_env("NAME")`, "a variable of the host's own environment, in env { clear = { … } } alone", markHostEnv.function()},
		{"file", `file("PATH")`, "a text file's content; the path is relative to the directory of deploy.hcl", l.fileFunction(dir)},
		{"upper", `upper(TEXT)`, "in capitals", stdlib.UpperFunc},
		{"lower", `lower(TEXT)`, "in small letters", stdlib.LowerFunc},
		{"join", `join(SEPARATOR, LIST)`, "a list as one text", stdlib.JoinFunc},
		{"split", `split(SEPARATOR, TEXT)`, "a text as a list", stdlib.SplitFunc},
		{"replace", `replace(TEXT, OLD, NEW)`, "every OLD becomes NEW", stdlib.ReplaceFunc},
		{"format", `format("%s-%d", VALUES…)`, "values put into a text", stdlib.FormatFunc},
		{"jsondecode", `jsondecode(TEXT)`, "JSON as a value", stdlib.JSONDecodeFunc},
		{"yamldecode", `yamldecode(TEXT)`, "YAML as a value", yamlFunction()},
	}
}

func (l *loader) functions(dir string) map[string]function.Function {
	all := map[string]function.Function{}
	for _, f := range l.vocabulary(dir) {
		all[f.name] = f.call
	}
	return all
}

// inExpressions is what expressions can call and read, for the reference.
func inExpressions() []Function {
	all := []Function{
		{"local.NAME", "a value of a locals block"},
		{"git.sha, git.short_sha, git.branch", "the commit of the repository that holds the file, its first seven digits, and the branch"},
		{"destination", `the destination that is deployed; "" when there is none`},
	}
	for _, f := range (&loader{}).vocabulary("") {
		all = append(all, Function{f.use, f.meaning})
	}
	return append(all, Function{`[for x in LIST : x if CONDITION], CONDITION ? A : B, "${…}"`, "HCL's own"})
}

// maxYAMLAliases keeps aliases of aliases from growing past what memory holds.
const maxYAMLAliases = 20

var yamlAlias = regexp.MustCompile(`(?:^|[\s\[{,:-])\*[^\s\[\]{},*]`)

func yamlFunction() function.Function {
	bounded := func(args []cty.Value) error {
		if args[0].IsKnown() && len(yamlAlias.FindAllStringIndex(args[0].AsString(), maxYAMLAliases+1)) > maxYAMLAliases {
			return fmt.Errorf("it has more than %d aliases", maxYAMLAliases)
		}
		return nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := bounded(args); err != nil {
				return cty.NilType, err
			}
			return yaml.YAMLDecodeFunc.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return yaml.YAMLDecodeFunc.Call(args) },
	})
}

func (l *loader) envFunction() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "default", Type: cty.String, AllowNull: true},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, fmt.Errorf(`env takes a name and a default: env("NAME", "default")`)
			}
			if l.lenient {
				return cty.UnknownVal(cty.String), nil
			}
			if set, ok := l.opts.Env(args[0].AsString()); ok {
				return cty.StringVal(set), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.NilVal, fmt.Errorf(`the environment variable %s is not set: set it, or give a default: env(%q, "default")`, args[0].AsString(), args[0].AsString())
		},
	})
}

func (l *loader) fileFunction(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if l.lenient {
				return cty.UnknownVal(cty.String), nil
			}
			path := args[0].AsString()
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			data, err := l.opts.ReadFile(path)
			if err != nil {
				return cty.NilVal, unreadable(path, err)
			}
			if !utf8.Valid(data) {
				return cty.NilVal, fmt.Errorf("%s is not UTF-8 text", path)
			}
			return cty.StringVal(string(data)), nil
		},
	})
}

// unreadable says which file cannot be read, and where it was looked for.
func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s; a relative path begins at the directory of deploy.hcl", path)
	}
	return err
}
