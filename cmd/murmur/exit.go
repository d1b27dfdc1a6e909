package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"murmuration/node"
	"murmuration/node/archive"
)

// Exit codes, as documented in --help.
const (
	exitFailed = 1
	exitUsage  = 2
	exitKey    = 3
	exitListen = 4
	exitFeed   = 5
	exitStore  = 6
)

// usageError marks what the caller of the command got wrong.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(err error) error {
	if _, ok := errors.AsType[configError](err); ok {
		return err
	}
	return usageError{err}
}

// fail prints err as one line and returns the exit code that goes with it.
func fail(w io.Writer, err error) int {
	code := exitCode(err)
	fmt.Fprintln(w, "murmur:", strings.Join(strings.Fields(err.Error()), " ")) // YAML's errors have several lines
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil && code == exitUsage {
		fmt.Fprintln(w, "Try: murmur --help, murmur COMMAND --help")
	}
	return code
}

func exitCode(err error) int {
	if _, ok := errors.AsType[configError](err); ok {
		return exitKey
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	switch {
	case errors.Is(err, node.ErrLink), errors.Is(err, node.ErrConfig):
		return exitUsage
	case errors.Is(err, node.ErrKey):
		return exitKey
	case errors.Is(err, node.ErrListen):
		return exitListen
	case errors.Is(err, node.ErrFeed):
		return exitFeed
	case errors.Is(err, node.ErrStore), errors.Is(err, archive.ErrLocked), errors.Is(err, archive.ErrCorrupt),
		errors.Is(err, archive.ErrHostile), errors.Is(err, archive.ErrFull):
		return exitStore
	}
	return exitFailed
}
