package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"mvdan.cc/sh/v3/syntax"
)

// substitute gives what a $(command) writes. A simple call of `kamal secrets` or `kamald secrets` is carried out here: neither
// need be installed, and no value gets into an argument list. Anything else goes to sh.
func (d *dotenv) substitute(e entry, script string) value {
	words := secretsCall(script)
	if words == nil {
		out, err := d.run(script)
		return value{secret: out, known: err == nil, err: err}
	}
	var args []string
	for _, word := range words[2:] {
		v := d.word(e, word.Parts)
		if !v.known {
			return v
		}
		args = append(args, v.secret)
	}
	out, err := d.carryOut(args)
	return value{secret: out, known: err == nil, err: err}
}

// secretsCall gives the words of a simple call of ours, nil for anything that sh must see to.
func secretsCall(script string) []*syntax.Word {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), "")
	if err != nil || len(file.Stmts) != 1 {
		return nil
	}
	stmt := file.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Negated || stmt.Background || len(stmt.Redirs) > 0 || len(call.Assigns) > 0 || len(call.Args) < 3 {
		return nil
	}
	if program := call.Args[0].Lit(); program != "kamal" && program != "kamald" || call.Args[1].Lit() != "secrets" {
		return nil
	}
	for _, word := range call.Args {
		if !simple(word.Parts) {
			return nil
		}
	}
	return call.Args
}

// simple tells whether a word is made of literals, quoted strings and plain variables.
func simple(parts []syntax.WordPart) bool {
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
		case *syntax.SglQuoted:
			if p.Dollar {
				return false
			}
		case *syntax.DblQuoted:
			if p.Dollar || !simple(p.Parts) {
				return false
			}
		case *syntax.ParamExp:
			if p.Flags != nil || p.Excl || p.Length || p.Width || p.IsSet || p.NestedParam != nil || p.Index != nil || len(p.Modifiers) > 0 ||
				p.Slice != nil || p.Repl != nil || p.Names != 0 || p.Exp != nil || !isName(p.Param.Value) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// word gives a word's text. A variable is one piece of it, whatever spaces it has.
func (d *dotenv) word(e entry, parts []syntax.WordPart) value {
	var text strings.Builder
	for _, p := range parts {
		v := value{known: true}
		switch p := p.(type) {
		case *syntax.Lit:
			v.secret = unescaped(p.Value, "")
		case *syntax.SglQuoted:
			v.secret = p.Value
		case *syntax.DblQuoted:
			v = d.quoted(e, p.Parts)
		case *syntax.ParamExp:
			v = d.refer(e, p.Param.Value)
		}
		if !v.known {
			return v
		}
		text.WriteString(v.secret)
	}
	return value{secret: text.String(), known: true}
}

func (d *dotenv) quoted(e entry, parts []syntax.WordPart) value {
	var text strings.Builder
	for _, p := range parts {
		if lit, ok := p.(*syntax.Lit); ok {
			text.WriteString(unescaped(lit.Value, "$`\"\\\n"))
			continue
		}
		v := d.word(e, []syntax.WordPart{p})
		if !v.known {
			return v
		}
		text.WriteString(v.secret)
	}
	return value{secret: text.String(), known: true}
}

// unescaped takes away the backslashes that quote one of some characters, or with "" any.
func unescaped(text, only string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (only == "" || strings.IndexByte(only, text[i+1]) >= 0) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// carryOut does what `kamal secrets` does with these arguments. What is wrong with them is not quoted: they may be secrets.
func (d *dotenv) carryOut(args []string) (string, error) {
	if args[0] != "fetch" && args[0] != "extract" {
		return "", errors.New("of `secrets`, a file can call fetch and extract")
	}
	var q Query
	flags := pflag.NewFlagSet("secrets", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVarP(&q.Adapter, "adapter", "a", "", "")
	flags.StringVar(&q.Account, "account", "", "")
	flags.StringVar(&q.From, "from", "", "")
	flags.StringVar(&q.Identity, "identity", "", "")
	flags.Bool("inline", false, "") // Kamal's own
	if flags.Parse(args[1:]) != nil {
		return "", fmt.Errorf("`secrets %s` is called with flags that it has not: it takes --adapter, --account, --from and --identity", args[0])
	}
	switch {
	case args[0] == "fetch" && q.Adapter == "":
		return "", errors.New("`secrets fetch` needs --adapter")
	case args[0] == "fetch":
		q.Keys = flags.Args()
		all, err := fetch(context.Background(), d.at, q)
		return object(all), err
	case args[0] == "extract" && flags.NArg() == 2:
		secret, err := Extract(flags.Arg(0), flags.Arg(1))
		return secret.Reveal(), err
	}
	return "", errors.New("`secrets extract` takes a name and what `secrets fetch` gave, as in extract NAME $SECRETS")
}
