package ruby

// What is read has bounds, so that no file can take the machine.
const (
	maxSource   = 1 << 20 // bytes of a file
	maxRendered = 4 << 20 // bytes of a file when its loops are written out
	maxNodes    = 100_000 // values of a file, those that aliases copy counted each time
	maxDepth    = 100     // mappings and sequences in one another
	maxSteps    = 200_000 // of ERB: expressions evaluated, rounds of loops
	maxNesting  = 100     // of ERB: brackets and blocks in one another
	maxProblems = 200
	maxLeftOut  = 6 // lines of a block that is left out which are told one by one

	maxSourceOfExpression = 4096 // bytes, beyond which no more is added
)
