package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSimRefuses: what cannot be simulated ends at once with one line that says why.
func TestSimRefuses(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	matrix := func(text string) string { return write(t, "rtt.csv", text, 0o600) }
	scenario := func(text string) string { return write(t, "s.yaml", text, 0o600) }
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no scenario", nil, exitUsage, "venue50"},
		{"unknown scenario", []string{"venue51"}, exitUsage, "venue51"},
		{"a folder", []string{t.TempDir()}, exitUsage, "directory"},
		{"no YAML", []string{scenario(":\n-:")}, exitUsage, "yaml"},
		{"unknown field", []string{scenario("peers: 5\nclases: []\n")}, exitUsage, "clases"},
		{"no classes", []string{scenario("peers: 5\n")}, exitUsage, "classes"},
		{"unknown behaviour", []string{scenario("peers: 5\nclasses: [{up: 1M, behaviour: rude}]\n")}, exitUsage, "rude"},
		{"too many peers", []string{"venue50", "--peers", "2000000"}, exitUsage, "peers"},
		{"negative peers", []string{"venue50", "--peers=-1"}, exitUsage, "peers"},
		{"no peers", []string{"venue50", "--peers", "0"}, exitUsage, "peers"},
		{"no time", []string{"venue50", "--for", "1ms"}, exitUsage, "measured"},
		{"no time at all", []string{"venue50", "--for", "0s"}, exitUsage, "measured"},
		{"unknown engine", []string{"venue50", "--engine", "steam"}, exitUsage, "steam"},
		{"unknown system", []string{"venue50", "--against", "pigeons"}, exitUsage, "pigeons"},
		{"too many seeds", []string{"venue50", "--seeds", "100000"}, exitUsage, "seeds"},
		{"no seeds", []string{"venue50", "--seeds", "0"}, exitUsage, "seeds"},
		{"no matrix", []string{"venue50", "--rtt", "nowhere.csv"}, exitUsage, "nowhere.csv"},
		{"matrix of words", []string{"venue50", "--rtt", matrix("city,a\na,far\n")}, exitUsage, `"far"`},
		{"matrix of nothing", []string{"venue50", "--rtt", matrix("")}, exitUsage, "empty"},
		{"matrix without bounds", []string{"venue50", "--rtt", matrix("city,a,b\na,0,1e99\nb,NaN,0\n")}, exitUsage, `"1e99"`},
		{"matrix of no numbers", []string{"venue50", "--rtt", matrix("city,a,b\na,0,1\nb,NaN,0\n")}, exitUsage, `"NaN"`},
		{"matrix that is not square", []string{"venue50", "--rtt", matrix("city,a,b\na,0,1\n")}, exitUsage, "rows"},
		{"scenario with a bad matrix", []string{scenario("peers: 5\nplace: {matrix: nowhere.csv}\nclasses: [{up: 1M}]\n")}, exitUsage, "nowhere.csv"},
		{"report that cannot be written", []string{"venue50", "--html", filepath.Join(t.TempDir(), "no", "r.html")}, exitUsage, "r.html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := try(t, append([]string{"sim"}, c.args...)...)
			if code != c.code || stdout != "" {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			if !strings.Contains(stderr, c.says) || strings.Count(strings.TrimSpace(stderr), "\n") > 1 {
				t.Errorf("it does not say %q in a line:\n%s", c.says, stderr)
			}
		})
	}
}

// TestSimModel: a table for people, JSON for programs, a report for both, and the built-in scenarios by name.
func TestSimModel(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if code, stdout, stderr := try(t, "sim", "--list"); code != 0 || !strings.Contains(stdout, "home200") || !strings.Contains(stdout, "planet10k") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	page := filepath.Join(t.TempDir(), "report.html")
	rtt := write(t, "rtt.csv", "city,a,b\na,0,40\nb,40,0\n", 0o600)
	short := []string{"sim", "venue50", "--engine", "model", "--peers", "10", "--for", "3s", "--warmup", "3s", "--rtt", rtt}
	code, stdout, stderr := try(t, append(short, "--html", page)...)
	if code != 0 || !strings.Contains(stdout, "latency p50") || !strings.Contains(stdout, "model engine") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(html, []byte("murmur sim venue50 --engine model --rtt "+rtt+" --peers 10 --for 3s --warmup 3s")) {
		t.Error("the report does not say how to repeat it")
	}
	code, stdout, stderr = try(t, append(short, "--warmup", "0s")...)
	if code != 0 || !strings.Contains(stderr, "no chunk counts") {
		t.Errorf("exit code %d, without a warm-up\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = try(t, append(short, "--json", "--seeds", "2")...)
	var got struct {
		Scenario, Engine string
		Seeds            int
		Systems          []struct {
			Name    string
			Latency map[string]float64 `json:"latency_ms"`
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if got.Scenario != "venue50" || got.Engine != "model" || got.Seeds != 2 || len(got.Systems) != 1 || got.Systems[0].Latency["p50"] < 20 {
		t.Errorf("%s", stdout)
	}
}

// TestSimModelAgainst: both systems on the model engine, in the table, the JSON and the report, where it says that
// gossipsub is a model of it.
func TestSimModelAgainst(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	page := filepath.Join(t.TempDir(), "report.html")
	run := []string{"sim", "venue50", "--engine", "model", "--against", "gossipsub", "--peers", "10", "--for", "3s", "--warmup", "3s"}
	code, stdout, stderr := try(t, append(run, "--html", page)...)
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"table": stdout, "report": string(html)} {
		if code != 0 || !strings.Contains(text, "murmuration") || !strings.Contains(text, "a model of stock gossipsub") {
			t.Errorf("the %s, exit code %d\n%.2000s%s", what, code, text, stderr)
		}
	}
	code, stdout, stderr = try(t, append(run, "--json")...)
	var got struct {
		Dissemination map[string]string
		Systems       []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if len(got.Systems) != 2 || got.Systems[1].Name != "gossipsub" || !strings.Contains(got.Dissemination["gossipsub"], "model") {
		t.Errorf("%s", stdout)
	}
}

// TestSimStack runs the stack engine as a command does, outside of package testing's care.
func TestSimStack(t *testing.T) {
	if testing.Short() {
		t.Skip("long: builds the command, and runs it for seconds")
	}
	bin := filepath.Join(t.TempDir(), "murmur")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-v", "sim", "venue50", "--peers", "4", "--for", "2s", "--warmup", "3s", "--json")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if !bytes.Contains(out, []byte(`"engine":"stack"`)) || !bytes.Contains(out, []byte(`"dissemination":{"murmuration":`)) {
		t.Errorf("%s", out)
	}
	t.Run("interrupt", func(t *testing.T) { interrupt(t, bin) })
}

// interrupt: progress is told while it runs, and an interrupt ends it with what there is.
func interrupt(t *testing.T, bin string) {
	cmd := exec.CommandContext(t.Context(), bin, "sim", "venue50", "--engine", "model", "--peers", "20", "--for", "24h", "--json")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, told := bufio.NewScanner(stderr), ""
	for lines.Scan() {
		told += lines.Text() + "\n"
		if strings.Contains(told, "about") && !strings.Contains(told, "about ?") || strings.Count(told, "simulated") == 2 {
			break
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		told += lines.Text() + "\n"
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, told)
	}
	var got struct {
		Stopped bool
		Seconds float64
		Systems []struct {
			Lost    float64
			Latency map[string]float64 `json:"latency_ms"`
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, &stdout, told)
	}
	if !got.Stopped || got.Seconds < 1 || got.Seconds > 86_000 || len(got.Systems) != 1 || got.Systems[0].Lost > 0 || got.Systems[0].Latency["p50"] <= 0 {
		t.Errorf("%+v\n%s", got, told)
	}
	if !strings.Contains(told, "left") || !strings.Contains(told, "stopped early") {
		t.Errorf("it does not say how far it is, or that it stopped:\n%s", told)
	}
}
