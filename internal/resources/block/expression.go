package block

import (
	"fmt"

	"github.com/google/cel-go/cel"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"
)

// Expression is a CEL expression over disks or volumes, as its source text.
// The empty expression is not set.
type Expression string

// MarshalWire returns the parsed expression as a
// google.api.expr.v1alpha1.CheckedExpr, without type information: the receiver
// checks types against its own variables. The empty expression is no bytes.
func (e Expression) MarshalWire() ([]byte, error) {
	if e == "" {
		return nil, nil
	}

	env, err := cel.NewEnv()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}

	ast, issues := env.Parse(string(e))
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("parsing expression: %w", err)
	}

	parsed, err := cel.AstToParsedExpr(ast)
	if err != nil {
		return nil, fmt.Errorf("converting expression: %w", err)
	}

	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(&exprpb.CheckedExpr{
		Expr:       parsed.GetExpr(),
		SourceInfo: parsed.GetSourceInfo(),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding expression: %w", err)
	}

	return data, nil
}

// UnmarshalWire sets e from a google.api.expr.v1alpha1.CheckedExpr.
func (e *Expression) UnmarshalWire(data []byte) error {
	if len(data) == 0 {
		*e = ""

		return nil
	}

	var checked exprpb.CheckedExpr
	if err := proto.Unmarshal(data, &checked); err != nil {
		return fmt.Errorf("decoding expression: %w", err)
	}

	text, err := printExpression(&exprpb.ParsedExpr{
		Expr:       checked.GetExpr(),
		SourceInfo: checked.GetSourceInfo(),
	})
	if err != nil {
		return err
	}

	*e = Expression(text)

	return nil
}

// printExpression returns the source text of an expression. The library takes
// the number of an operator's arguments for granted and panics when a peer
// sent another.
func printExpression(parsed *exprpb.ParsedExpr) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("printing expression: malformed: %v", r)
		}
	}()

	text, err = cel.AstToString(cel.ParsedExprToAst(parsed))
	if err != nil {
		return "", fmt.Errorf("printing expression: %w", err)
	}

	return text, nil
}
