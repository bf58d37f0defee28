package release

import "github.com/hashicorp/hcl/v2/hclwrite"

// Format lays out a file as `kamald fmt` does: indentation and alignment, nothing else. Comments stay, and formatting twice is
// formatting once.
func Format(src []byte) []byte { return hclwrite.Format(src) }
