package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configError marks a config file that cannot be used.
type configError struct{ error }

func (c configError) Unwrap() error { return c.error }

// yamlFlags resolves flags from a YAML file: top-level keys are global flags or commands; below a command stand its
// flags. A key that is no flag is an error, so that a slip of the pen does not pass silently.
type yamlFlags map[string]any

func loadYAML(r io.Reader) (kong.Resolver, error) {
	flags := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&flags); err != nil && !errors.Is(err, io.EOF) {
		return nil, configError{fmt.Errorf("config file: %w", err)}
	}
	return yamlFlags(flags), nil
}

// Validate implements kong.Resolver.
func (y yamlFlags) Validate(app *kong.Application) error {
	for key, value := range y {
		if hasFlag(app.Node, key) {
			continue
		}
		i := slices.IndexFunc(app.Children, func(n *kong.Node) bool { return n.Name == key })
		if i < 0 {
			return configError{fmt.Errorf("config file: there is no flag or command %q", key)}
		}
		section, ok := value.(map[string]any)
		if !ok {
			return configError{fmt.Errorf("config file: under %q its flags are expected, one to a line", key)}
		}
		for name := range section {
			if !hasFlag(app.Children[i], name) {
				return configError{fmt.Errorf("config file: %s has no flag %q", key, name)}
			}
		}
	}
	return nil
}

func hasFlag(n *kong.Node, name string) bool {
	return slices.ContainsFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == name })
}

// Resolve implements kong.Resolver. The environment wins over the file, which kong would have the other way round.
func (y yamlFlags) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	section := map[string]any(y)
	if n := parent.Node(); n != nil && n.Type == kong.CommandNode {
		section, _ = y[n.Name].(map[string]any)
	}
	switch value := section[flag.Name].(type) {
	case []any: // kong splits lists at commas
		words := make([]string, len(value))
		for i, v := range value {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, ","), nil
	case nil:
		return nil, nil
	default:
		return fmt.Sprint(value), nil
	}
}
