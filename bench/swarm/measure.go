package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"murmuration/sim"
)

// command returns the command line of a measurement; of a matrix the file's name must do.
func command(j job) string {
	if j.RTT != "" {
		j.RTT = filepath.Base(j.RTT)
	}
	return "murmur " + strings.Join(j.args(), " ")
}

func load(name string) (*sim.Scenario, error) { return sim.Load(name) }

// measure runs murmur sim once. Its progress goes to the writer.
func measure(ctx context.Context, murmur string, j job, progress io.Writer) (*measured, error) {
	// The interrupt of a terminal reaches it by itself: it prints what there is, and is not killed for it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), murmur, append(j.args(), "--json")...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, progress
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", command(j), err)
	}
	spent := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m := &measured{Seconds: time.Since(began).Round(time.Second).Seconds(), CPU: spent.Round(time.Second / 10).Seconds()}
	if err := json.Unmarshal(out.Bytes(), &m.Report); err != nil {
		return nil, fmt.Errorf("%s: %w", command(j), err)
	}
	if m.Report.Stopped || ctx.Err() != nil {
		return nil, fmt.Errorf("%s: stopped, not kept", command(j))
	}
	return m, nil
}

// version names what a kind of measurement measures: the last commit that changed the mesh, the simulator's engine or what
// they rest on, and a plus where files differ from it.
func version(ctx context.Context, root, kind string) (string, error) {
	other := "sim/model"
	if kind == onModel || kind == stockModel {
		other = "sim/stack"
	}
	git := func(args ...string) (string, error) {
		args = append(append([]string{"-C", root}, args...), "--",
			"mesh", "sim", "chunker", "go.mod", ":!"+other, ":!sim/report", ":!*_test.go", ":!*.md")
		out, err := exec.CommandContext(ctx, "git", args...).Output()
		return strings.TrimSpace(string(out)), err
	}
	v, err := git("log", "-1", "--format=%h")
	if err != nil {
		return "", fmt.Errorf("git log: %w", err)
	}
	if changed, err := git("status", "--porcelain"); err != nil {
		return "", fmt.Errorf("git status: %w", err)
	} else if changed != "" {
		v += "+"
	}
	return v, nil
}

// store is the folder of measurements.
type store struct{ dir string }

func (s store) read(name string) (*record, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name+".json"))
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(r.Report.Systems) == 0 {
		return nil, fmt.Errorf("%s: %w", name, errors.ErrUnsupported)
	}
	return r, nil
}

func (s store) write(name string, r *record) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, name+".json"), append(b, '\n'), 0o644)
}
