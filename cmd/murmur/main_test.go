package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// try runs the command with a configuration folder of its own.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExitCodes holds the documented exit codes, and that each failure says in one line what to do.
func TestExitCodes(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	port := busy.Addr().String()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	const loopback = "/ip4/127.0.0.1/udp/0/quic-v1"
	link := "murmur://12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"
	_, busyPort, _ := net.SplitHostPort(port)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", nil, 0, ""},
		{"version", []string{"version"}, 0, ""},
		{"unknown command", []string{"watch"}, exitUsage, "watch"},
		{"unknown flag", []string{"origin", "--rtpm", ":1"}, exitUsage, "--rtpm"},
		{"viewer without a link", []string{"viewer"}, exitUsage, "link"},
		{"not a link", []string{"viewer", "https://example.org"}, exitUsage, "murmur://"},
		{"link with a bad channel", []string{"viewer", "murmur://nobody"}, exitUsage, "nobody"},
		{"link with a bad address", []string{"viewer", link + "?p=/ip4/300.1.1.1"}, exitUsage, "/ip4/300.1.1.1"},
		{"bad multiaddr", []string{"viewer", "--listen", "0.0.0.0:4001", link}, exitUsage, "0.0.0.0:4001"},
		{"short window", []string{"viewer", "--window", "1s", link}, exitUsage, "6s"},
		{"no such input", []string{"origin", "--listen", loopback, "--http", "127.0.0.1:0", "--input", "nowhere.mp4"}, exitFeed, "nowhere.mp4"},
		{"not a video", []string{"origin", "--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", "--input", write(t, "x.mp4", strings.Repeat("hello ", 500), 0o600)}, exitFeed, "neither MPEG-TS nor MP4"},
		{"wrong key file", []string{"origin", "--channel-key", write(t, "k", "hello", 0o600)}, exitKey, "Ed25519"},
		{"open key file", []string{"origin", "--channel-key", write(t, "k", "hello", 0o644)}, exitKey, "chmod 600"},
		{"HTTP port in use", []string{"viewer", "--no-mdns", "--listen", loopback, "--http", port, link}, exitListen, "--http"},
		{"RTMP port in use", []string{"origin", "--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", "--rtmp", port}, exitListen, "--rtmp"},
		{"mesh port in use", []string{"viewer", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/" + busyPort, "--http", "127.0.0.1:0", link}, exitListen, "--listen"},
		{"certificate without key", []string{"viewer", "--tls-cert", "cert.pem", link}, exitUsage, "--tls-key"},
		{"no such certificate", []string{"viewer", "--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", "--tls-cert", "nowhere.pem", "--tls-key", "k", link}, exitKey, "nowhere.pem"},
		{"certificate in the configuration", []string{"--config", write(t, "c", "viewer:\n  tls-cert: nowhere.pem\n  tls-key: k\n", 0o600), "viewer", "--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", link}, exitKey, "nowhere.pem"},
		{"config is no YAML", []string{"--config", write(t, "c", ":\n-:", 0o600), "version"}, exitKey, "config file"},
		{"no such key file", []string{"origin", "--channel-key", "nowhere.key"}, exitKey, "nowhere.key"},
		{"a folder as key file", []string{"origin", "--channel-key", t.TempDir()}, exitKey, "it is not a file"},
		{"no such config", []string{"--config", "nowhere.yaml", "version"}, exitKey, "nowhere.yaml"},
		{"config with a bad value", []string{"--config", write(t, "c", "origin:\n  grace: soon\n", 0o600), "origin"}, exitKey, `--grace: config file: expected duration but got "soon"`},
		{"config with a slip", []string{"--config", write(t, "c", "origin:\n  titel: x\n", 0o600), "version"}, exitKey, "titel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := try(t, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			if !strings.Contains(stderr, c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, stderr)
			}
			if line, _, more := strings.Cut(strings.TrimSpace(stderr), "\n"); more && code > exitFailed && strings.HasPrefix(line, "murmur: ") && !strings.Contains(stderr, "\nTry: ") {
				t.Errorf("the error takes more than a line:\n%s", stderr)
			}
		})
	}
}

// TestVersion wants the flag, which most programs have, to print what the command prints, behind a command too.
func TestVersion(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	_, want, _ := try(t, "version")
	if !strings.HasPrefix(want, "murmur ") {
		t.Fatalf("version prints %q", want)
	}
	for _, args := range [][]string{{"--version"}, {"origin", "--version"}} {
		if code, got, stderr := try(t, args...); code != 0 || got != want {
			t.Errorf("%v: exit code %d and %q, want 0 and %q\n%s", args, code, got, want, stderr)
		}
	}
}

// TestUsualConfig wants what is wrong with the file that is read without being named to be told like that of any other.
func TestUsualConfig(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	if err := os.Mkdir(filepath.Join(dir, "murmur"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "murmur", "config.yaml")
	for text, says := range map[string]string{"origin: [\n": path, "orign:\n  title: x\n": "orign", "origin: 3\n": "one to a line"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := try(t, "version"); code != exitKey || !strings.Contains(stderr, says) {
			t.Errorf("%q: exit code %d, want %d, and %q:\n%s", text, code, exitKey, says, stderr)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := try(t, "version"); code != 0 {
		t.Errorf("exit code %d without a file:\n%s", code, stderr)
	}
}

// TestSources wants flags to win over the environment, and the environment over the configuration file.
func TestSources(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	config := write(t, "murmur.yaml", "id:\n  dir: "+filepath.Join(t.TempDir(), "from-file")+"\n", 0o600)
	ids := map[string]bool{}
	_, fromFile, _ := try(t, "--config", config, "id")
	_, again, _ := try(t, "--config", config, "id")
	if fromFile == "" || fromFile != again {
		t.Fatalf("the configured folder is not used: %q, then %q", fromFile, again)
	}
	ids[fromFile] = true
	t.Setenv("MURMUR_DIR", filepath.Join(t.TempDir(), "from-env"))
	_, fromEnv, _ := try(t, "--config", config, "id")
	ids[fromEnv] = true
	_, fromFlag, _ := try(t, "--config", config, "id", "--dir", filepath.Join(t.TempDir(), "from-flag"))
	ids[fromFlag] = true
	if len(ids) != 3 {
		t.Errorf("file, environment and flag do not each decide: %v", ids)
	}
}
