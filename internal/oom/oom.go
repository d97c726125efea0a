// Package oom decides when a machine has too little memory to go on, and what
// has to end so that the rest can: before the kernel does, which acts late and
// knows nothing of pods.
//
// Both decisions are CEL expressions. The trigger is asked at every sample and
// sees the pressure on memory of the machine:
//
//	memory_some_avg10, _avg60, _avg300, _total   at least one task waits
//	memory_full_avg10, _avg60, _avg300, _total   all tasks wait
//	d_memory_…                                   the change of each, in a second
//	qos_memory_…, d_qos_memory_…                 the same by class, as maps
//	time_since_trigger                           a duration
//
// The ranking is asked for each control group at the end of the tree, and the
// one with the highest score above zero ends:
//
//	path, class
//	memory_current, memory_peak, memory_max      optional numbers of bytes
//
// Classes are Besteffort, Burstable, Guaranteed, Podruntime and System.
// multiply_qos_vectors(a, b) is the sum of the products of two maps by class.
package oom

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/basalt-os/basalt/internal/expression"
)

// Class is what a control group is for: the later, the more is lost when it
// ends.
type Class int64

// The classes.
const (
	Besteffort Class = iota
	Burstable
	Guaranteed
	Podruntime
	System
)

// classNames are the names that expressions have.
func classNames() map[string]Class {
	return map[string]Class{
		"Besteffort": Besteffort, "Burstable": Burstable, "Guaranteed": Guaranteed, "Podruntime": Podruntime, "System": System,
	}
}

// ClassOf is the class of a control group by its path.
func ClassOf(path string) Class {
	path = strings.TrimPrefix(path, "/")

	switch {
	case strings.HasPrefix(path, "kubepods/besteffort"):
		return Besteffort
	case strings.HasPrefix(path, "kubepods/burstable"):
		return Burstable
	case strings.HasPrefix(path, "kubepods"):
		return Guaranteed
	case strings.HasPrefix(path, "podruntime"):
		return Podruntime
	default:
		return System
	}
}

// Defaults of the configuration.
const (
	DefaultTrigger = `memory_full_avg10 > 12.0 && d_memory_full_avg10 > 0.0 && time_since_trigger > duration("500ms")`
	DefaultRanking = `memory_max.hasValue() ? 0.0 :
		{Besteffort: 1.0, Burstable: 0.5, Guaranteed: 0.0, Podruntime: 0.0, System: 0.0}[class] * double(memory_current.orValue(0u))`
	DefaultInterval = 500 * time.Millisecond
)

// Sample is the pressure on memory at a moment.
type Sample struct {
	Time    time.Time
	Machine Pressure
	Classes map[Class]Pressure
}

// Calm says that nothing waits for memory, so that no expression needs to be
// asked.
func (s Sample) Calm() bool { return s.Machine.Some.Avg10 == 0 && s.Machine.Full.Avg10 == 0 }

// Group is a control group at the end of the tree. Nil numbers are unknown, or
// there is no limit.
type Group struct {
	Path               string
	Current, Peak, Max *uint64 // bytes
}

// Policy is what is decided by.
type Policy struct {
	trigger, ranking cel.Program
	// strict has a group of a lesser class end before any of a higher one.
	strict bool
}

// NewPolicy compiles the expressions; empty ones are the defaults.
func NewPolicy(trigger, ranking string, strict bool) (*Policy, error) {
	if trigger == "" {
		trigger = DefaultTrigger
	}

	if ranking == "" {
		ranking = DefaultRanking
	}

	p := &Policy{strict: strict}

	var err error
	if p.trigger, err = compile(trigger, cel.BoolType, triggerVariables()); err != nil {
		return nil, fmt.Errorf("when memory lacks: %w", err)
	}

	number := cel.OptionalType(cel.UintType)

	p.ranking, err = compile(ranking, cel.DoubleType, []cel.EnvOption{
		cel.Variable("path", cel.StringType), cel.Variable("class", cel.IntType),
		cel.Variable("memory_current", number), cel.Variable("memory_peak", number), cel.Variable("memory_max", number),
	})
	if err != nil {
		return nil, fmt.Errorf("ranking control groups: %w", err)
	}

	return p, nil
}

// triggerVariables are what the trigger sees.
func triggerVariables() []cel.EnvOption {
	byClass := cel.MapType(cel.IntType, cel.DoubleType)
	options := []cel.EnvOption{cel.Variable("time_since_trigger", cel.DurationType)}

	for name := range (Pressure{}).values("memory_") {
		options = append(options, cel.Variable(name, cel.DoubleType), cel.Variable("d_"+name, cel.DoubleType),
			cel.Variable("qos_"+name, byClass), cel.Variable("d_qos_"+name, byClass))
	}

	return options
}

func compile(text string, want *cel.Type, variables []cel.EnvOption) (cel.Program, error) {
	byClass := cel.MapType(cel.IntType, cel.DoubleType)
	options := append([]cel.EnvOption{
		cel.OptionalTypes(),
		cel.Function("multiply_qos_vectors", cel.Overload("multiply_qos_vectors_map_map",
			[]*cel.Type{byClass, byClass}, cel.DoubleType, cel.BinaryBinding(multiply))),
	}, variables...)

	for name, class := range classNames() {
		options = append(options, cel.Constant(name, cel.IntType, types.Int(class)))
	}

	return expression.Compile(text, want, options...)
}

// multiply is the sum of the products of two vectors.
func multiply(a, b ref.Val) ref.Val {
	left, err := vector(a)
	if err != nil {
		return types.WrapErr(err)
	}

	right, err := vector(b)
	if err != nil {
		return types.WrapErr(err)
	}

	sum := 0.0
	for class, value := range left {
		sum += value * right[class]
	}

	return types.Double(sum)
}

// vector is a map by class as Go has it.
func vector(value ref.Val) (map[int64]float64, error) {
	native, err := value.ConvertToNative(reflect.TypeFor[map[int64]float64]())
	if err != nil {
		return nil, err
	}

	out, ok := native.(map[int64]float64)
	if !ok {
		return nil, fmt.Errorf("found a %s, expected a map by class", value.Type())
	}

	return out, nil
}

// Triggered says whether memory lacks so much now that something has to end.
// Before is the sample before, and last when something ended last; zero is never.
func (p *Policy) Triggered(before, now Sample, last time.Time) (bool, error) {
	vars := map[string]any{"time_since_trigger": now.Time.Sub(last)}
	if last.IsZero() {
		vars["time_since_trigger"] = 24 * time.Hour
	}

	seconds := now.Time.Sub(before.Time).Seconds()
	add := func(name string, before, now float64) {
		vars[name], vars["d_"+name] = now, change(before, now, seconds)
	}

	earlier := before.Machine.values("memory_")
	for name, value := range now.Machine.values("memory_") {
		add(name, earlier[name], value)

		qos, rate := map[int64]float64{}, map[int64]float64{}

		for _, class := range classNames() {
			was := before.Classes[class].values("memory_")[name]
			is := now.Classes[class].values("memory_")[name]
			qos[int64(class)], rate[int64(class)] = is, change(was, is, seconds)
		}

		vars["qos_"+name], vars["d_qos_"+name] = qos, rate
	}

	out, _, err := p.trigger.Eval(vars)
	if err != nil {
		return false, fmt.Errorf("asking whether memory lacks: %w", err)
	}

	triggered, ok := out.Value().(bool)

	return triggered && ok, nil
}

func change(before, now, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}

	return (now - before) / seconds
}

// Choose is the group that has to end, with its score. False says that there is
// none.
func (p *Policy) Choose(groups []Group) (chosen Group, score float64, ok bool, err error) {
	for _, group := range groups {
		s, err := p.score(group)
		if err != nil {
			return Group{}, 0, false, err
		}

		if s <= 0 || (ok && !p.before(group, s, chosen, score)) {
			continue
		}

		chosen, score, ok = group, s, true
	}

	return chosen, score, ok, nil
}

// before says whether a group has to end rather than the one that is chosen so
// far.
func (p *Policy) before(group Group, score float64, chosen Group, best float64) bool {
	if a, b := ClassOf(group.Path), ClassOf(chosen.Path); p.strict && a != b {
		return a < b
	}

	return score > best
}

func (p *Policy) score(group Group) (float64, error) {
	optional := func(n *uint64) ref.Val {
		if n == nil {
			return types.OptionalNone
		}

		return types.OptionalOf(types.Uint(*n))
	}

	out, _, err := p.ranking.Eval(map[string]any{
		"path": group.Path, "class": int64(ClassOf(group.Path)),
		"memory_current": optional(group.Current), "memory_peak": optional(group.Peak), "memory_max": optional(group.Max),
	})
	if err != nil {
		return 0, fmt.Errorf("ranking control group %s: %w", group.Path, err)
	}

	score, ok := out.Value().(float64)
	if !ok {
		return 0, fmt.Errorf("ranking control group %s: found %v, expected a number", group.Path, out.Value())
	}

	return score, nil
}
