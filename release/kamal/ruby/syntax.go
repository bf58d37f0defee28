package ruby

// syntax is a piece of Ruby of the subset that is understood.
type syntax struct {
	kind   syntaxKind
	source string // as it is written
	text   string // a name, a method, an operator

	literal   value
	fragments []fragment // of a string or a command
	on        *syntax    // what a method is called on, the left side, a condition
	args      []*syntax  // arguments, items, keys and values by turns, the right side, branches
	body      *lambda    // a block
	safe      bool       // &.
}

type syntaxKind int

const (
	literalSyntax syntaxKind = iota
	stringSyntax
	symbolSyntax
	commandSyntax
	arraySyntax
	hashSyntax
	nameSyntax     // a local variable, or a method without arguments
	constantSyntax // with its "::"
	callSyntax     // on may be nil
	binarySyntax
	notSyntax
	ternarySyntax
	assignSyntax   // text is the operator, on the name
	rangeSyntax    // text is .. or ...; args are its ends, nil for open
	modifierSyntax // args[0] if on; text is if or unless
	passSyntax     // &:name
)

// lambda is a block of Ruby.
type lambda struct {
	params []string
	body   []*syntax
	open   bool // it goes on beyond the tag
}

// statement is what a tag without "=" says: an expression, or a part of a block that goes over several tags.
type statement struct {
	kind   statementKind
	text   string  // the keyword
	syntax *syntax // the expression; a condition; a call whose block is opened
	params []string
	source string
}

type statementKind int

const (
	plainStatement  statementKind = iota
	openStatement                 // if, unless, each … do, and others that are not understood
	middleStatement               // else, elsif, when
	closeStatement                // end
)

var keywords = map[string]bool{"if": true, "unless": true, "else": true, "elsif": true, "end": true, "do": true, "then": true, "while": true,
	"until": true, "for": true, "in": true, "case": true, "when": true, "begin": true, "rescue": true, "ensure": true, "def": true,
	"class": true, "module": true, "and": true, "or": true, "not": true, "return": true, "next": true, "break": true, "redo": true,
	"yield": true, "nil": true, "true": true, "false": true, "self": true}

var valueKeywords = map[string]bool{"nil": true, "true": true, "false": true, "self": true, "end": true}
