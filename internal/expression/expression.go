// Package expression compiles the CEL expressions of a machine configuration.
package expression

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// maxCost bounds what an expression may take, in units of the CEL library: one of
// any use takes a few hundred.
const maxCost = 100_000

// Compile makes a program of an expression that has a result of a type. Options
// are the variables and functions that it may use.
func Compile(text string, want *cel.Type, options ...cel.EnvOption) (cel.Program, error) {
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}

	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("compiling expression %q: %w", text, err)
	}

	if !ast.OutputType().IsExactType(want) {
		return nil, fmt.Errorf("compiling expression %q: it is a %s, expected a %s", text, ast.OutputType(), want)
	}

	program, err := env.Program(ast, cel.CostLimit(maxCost))
	if err != nil {
		return nil, fmt.Errorf("compiling expression %q: %w", text, err)
	}

	return program, nil
}

// Glob is the function glob(pattern, text): whether the text is like the pattern,
// in which a star stands for anything.
func Glob() cel.EnvOption {
	return cel.Function("glob", cel.Overload("glob_string_string",
		[]*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(glob)))
}

func glob(pattern, text ref.Val) ref.Val {
	p, ok := pattern.Value().(string)
	if !ok {
		return types.MaybeNoSuchOverloadErr(pattern)
	}

	t, ok := text.Value().(string)
	if !ok {
		return types.MaybeNoSuchOverloadErr(text)
	}

	return types.Bool(matches(p, t))
}

func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}

	text, ok := strings.CutPrefix(text, parts[0])

	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		text, ok = rest, ok && found
	}

	return ok && strings.HasSuffix(text, parts[len(parts)-1])
}
