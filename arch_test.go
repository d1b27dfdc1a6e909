package murmuration

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "murmuration"

// ban says what the packages under a folder must not depend on, directly or through others, and why.
type ban struct {
	under  string   // folder, relative to the module
	on     []string // import path prefixes
	except []string // import path prefixes that are allowed all the same
	why    string
}

var bans = []ban{
	{
		under: "chunker", why: "chunks are made and checked without a network",
		on: []string{"github.com/libp2p/", "net/http", module + "/mesh", module + "/node", module + "/playlist", module + "/sim"},
	},
	{
		under: "chunker/envelope", why: "mesh and sim verify chunks without media code",
		on: []string{"github.com/bluenviron/", "github.com/abema/", module + "/chunker"}, except: []string{module + "/chunker/envelope"},
	},
	{
		under: "playlist", why: "playlists are text made from a model, testable without a server",
		on: []string{"github.com/libp2p/", "net/http", module + "/mesh", module + "/node", module + "/sim"},
	},
	{
		under: "mesh", why: "the mesh treats a block as bytes",
		on: []string{
			"github.com/bluenviron/", "github.com/abema/", module + "/chunker", module + "/playlist", module + "/node", module + "/sim",
		},
		except: []string{module + "/chunker/envelope"},
	},
	{
		under: "mesh/episub", why: "the protocol's state machine runs under any transport and any clock",
		on: []string{"github.com/libp2p/", "net", "os"},
	},
	{
		under: "mesh/ownerfile", why: "what a file holds is its reader's matter",
		on: []string{"github.com/", "net", module + "/mesh", module + "/chunker", module + "/node"}, except: []string{module + "/mesh/ownerfile"},
	},
	{
		under: "sim", why: "the simulator measures the mesh, not the players' face",
		on: []string{module + "/node/shim", module + "/cmd"},
	},
	{
		under: "node/ingest", why: "an ingest knows only the units it makes",
		on: []string{"github.com/libp2p/", module + "/mesh", module + "/playlist", module + "/node/shim"},
	},
	{
		under: "node/archive/unixfs", why: "a recording is bytes over bytes: no store, no network",
		on:     []string{"github.com/libp2p/", "github.com/ipfs/boxo/", "net/http", module + "/mesh", module + "/node", module + "/sim"},
		except: []string{module + "/node/archive/unixfs"},
	},
	{
		under: "node/shim", why: "the face shows what it is given; node connects it to the mesh",
		on: []string{"github.com/libp2p/", module + "/mesh", module + "/node/ingest"},
	},
	{
		under: "node/archive", why: "recordings are files and blocks; node connects them to the mesh and the players' face",
		on: []string{module + "/mesh", module + "/node/shim", module + "/node/ingest", module + "/node/player", module + "/sim"},
	},
	{
		under: "node/archive", why: "private recordings are kept sealed: nothing here could open them",
		on: []string{module + "/chunker/seal"},
	},
	{
		under: "node/shim", why: "node opens what is private before the face gets it",
		on: []string{module + "/chunker/seal"},
	},
	{
		under: "chunker/seal", why: "sealing takes bytes and gives bytes: whose they are is said elsewhere",
		on:     []string{"github.com/bluenviron/", "github.com/abema/", "net", module + "/chunker"},
		except: []string{module + "/chunker/seal", module + "/chunker/envelope"},
	},
}

type pkg struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Deps         []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Deps", "./...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func within(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// TestArrows holds the import directions between the rooms.
func TestArrows(t *testing.T) {
	all := packages(t)
	if len(all) < 8 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	for _, p := range all {
		for _, b := range bans {
			if !within(p.ImportPath, []string{module + "/" + b.under}) {
				continue
			}
			for _, dep := range p.Deps {
				if within(dep, b.on) && !within(dep, b.except) {
					t.Errorf("%s depends on %s: %s", p.ImportPath, dep, b.why)
				}
			}
		}
	}
}

// TestClockless keeps the wall clock out of the rooms whose time is a parameter.
func TestClockless(t *testing.T) {
	for _, p := range packages(t) {
		if !within(p.ImportPath, []string{module + "/mesh/episub", module + "/playlist", module + "/chunker"}) {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					switch sel.Sel.Name {
					case "Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc":
						t.Errorf("%s/%s uses time.%s: time is a parameter here", p.ImportPath, name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// TestPackageComments wants every package to say in its first sentence what it is for.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		found := len(p.GoFiles) == 0 // a folder of tests only
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			want := "Package " + file.Name.Name + " "
			if file.Name.Name == "main" {
				want = "Command "
			}
			found = found || strings.HasPrefix(file.Doc.Text(), want)
		}
		if !found {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestExportedDocs wants a doc comment on every exported name.
func TestExportedDocs(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				for _, id := range undocumented(decl) {
					t.Errorf("%s: exported %s has no doc comment", fset.Position(id.Pos()), id.Name)
				}
			}
		}
	}
}

// undocumented returns the exported names that decl declares without a comment.
func undocumented(decl ast.Decl) []*ast.Ident {
	var bare []*ast.Ident
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d.Recv)) {
			bare = append(bare, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					bare = append(bare, s.Name)
				}
			case *ast.ValueSpec:
				for _, id := range s.Names {
					if id.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						bare = append(bare, id)
					}
				}
			}
		}
	}
	return bare
}

func exportedReceiver(recv *ast.FieldList) bool {
	t := recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

// TestTopLevel keeps the root to the agreed folders and files.
func TestTopLevel(t *testing.T) {
	allowed := map[string]bool{
		"node": true, "mesh": true, "chunker": true, "playlist": true, "cmd": true, "sim": true, "bench": true,
		"go.mod": true, "go.sum": true, "README.md": true, "Makefile": true, "LICENSE": true, "doc.go": true,
		"CHANGELOG.md": true, "arch_test.go": true, "bin": true, // bin is what make build writes, not kept
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !allowed[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}
