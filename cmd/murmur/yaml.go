package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configError marks a config file that cannot be used.
type configError struct{ error }

func (c configError) Unwrap() error { return c.error }

// configFile is the flag that names a further YAML file. What stands in it wins over the usual one.
type configFile string

// BeforeResolve is called by kong.
func (configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(configFile)
	flags, err := loadConfig(kong.ExpandPath(string(path)))
	if err != nil {
		return err
	}
	ctx.AddResolver(flags)
	return nil
}

// usualConfig reads the file that is read without being named. There need be none.
func usualConfig() (kong.Resolver, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return yamlFlags{}, nil //nolint:nilerr // no home, no file
	}
	flags, err := loadConfig(filepath.Join(dir, "murmur", "config.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return yamlFlags{}, nil
	}
	return flags, err
}

func loadConfig(path string) (yamlFlags, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, configError{fmt.Errorf("config file: %w", err)}
	}
	defer f.Close()
	flags := map[string]any{}
	if err := yaml.NewDecoder(f).Decode(&flags); err != nil && !errors.Is(err, io.EOF) {
		return nil, configError{fmt.Errorf("config file %s: %w", path, err)}
	}
	return flags, nil
}

// yamlFlags resolves flags from a YAML file: top-level keys are global flags or commands; below a command stand its
// flags. A key that is no flag is an error, so that a slip of the pen does not pass silently.
type yamlFlags map[string]any

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
	var text string
	switch value := section[flag.Name].(type) {
	case []any: // kong splits lists at commas
		words := make([]string, len(value))
		for i, v := range value {
			words[i] = fmt.Sprint(v)
		}
		text = strings.Join(words, ",")
	case nil:
		return nil, nil
	default:
		text = fmt.Sprint(value)
	}
	// Kong would take a bad value for one from the command line.
	scan := kong.Scan().PushTyped(text, kong.FlagValueToken)
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, reflect.New(flag.Target.Type()).Elem()); err != nil {
		return nil, configError{fmt.Errorf("config file: %w", err)}
	}
	return text, nil
}
