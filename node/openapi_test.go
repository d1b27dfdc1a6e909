package node

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is the OpenAPI document, with the means to hold answers to it.
type description struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

const descriptionURL = "http://murmur.test/openapi.json"

// roles are those that serve the API.
var roles = []string{"origin", "viewer", "seed", "replay"}

// readDescription reads what a role serves.
func readDescription(t testing.TB, role string) *description {
	t.Helper()
	text, err := describeAPI(role)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020) // OpenAPI 3.1's dialect is a superset of it
	c.AssertFormat()
	if err := c.AddResource(descriptionURL, v); err != nil {
		t.Fatal(err)
	}
	return &description{v.(map[string]any), c}
}

// at returns what a JSON pointer leads to, through $refs; nil where it leads nowhere. The second result is where it is.
func (d *description) at(pointer string) (any, string) {
	var v any = d.doc
	where := ""
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, ""
		}
		v, where = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)], where+"/"+step
		if m, ok := v.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok && len(m) == 1 {
				v, where = d.at(strings.TrimPrefix(ref, "#"))
			}
		}
	}
	return v, where
}

func pointer(steps ...string) string {
	p := ""
	for _, s := range steps {
		p += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
	}
	return p
}

// operations lists what is described as "METHOD PATH".
func (d *description) operations() []string {
	var list []string
	for path, item := range d.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				list = append(list, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(list)
	return list
}

// validate holds a JSON text to the schema at a place in the document.
func (d *description) validate(t testing.TB, where string, text []byte) {
	t.Helper()
	schema, err := d.compiler.Compile(descriptionURL + "#" + where)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Errorf("%s: not JSON: %v: %.200s", where, err, text)
		return
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// answers holds an answer to what is described for its operation: status, Content-Type, schema.
func (d *description) answers(t testing.TB, operation string, resp *http.Response, body []byte) {
	t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	code := resp.Status[:3]
	described, where := d.at(pointer("paths", path, strings.ToLower(method), "responses", code))
	if described == nil {
		t.Errorf("%s: the answer %s is not described: %.200s", operation, resp.Status, body)
		return
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	content, ok := described.(map[string]any)["content"].(map[string]any)
	if !ok {
		if len(body) > 0 {
			t.Errorf("%s: %s with a body: %.200s", operation, resp.Status, body)
		}
		return
	}
	if content[kind] == nil {
		t.Errorf("%s: %s is of type %q, described are %v", operation, resp.Status, kind, slices.Collect(maps.Keys(content)))
		return
	}
	if headers, ok := described.(map[string]any)["headers"].(map[string]any); ok {
		for name := range headers {
			if resp.Header.Get(name) == "" {
				t.Errorf("%s: %s lacks the header %s", operation, resp.Status, name)
			}
		}
	}
	if kind == "application/json" {
		d.validate(t, where+pointer("content", kind, "schema"), body)
	}
}

// TestDescriptionIsOfThisAPI: what each role describes is what it registers.
func TestDescriptionIsOfThisAPI(t *testing.T) {
	for _, role := range roles {
		d := readDescription(t, role)
		want := []string{"GET /api/v1/status", "GET /api/v1/events"} // the shim's own
		want = slices.AppendSeq(want, maps.Keys(new(participant).apiRoutes()))
		if role == "origin" {
			want = slices.AppendSeq(want, maps.Keys(new(Origin).apiRoutes()))
		}
		slices.Sort(want)
		if got := d.operations(); !slices.Equal(got, want) {
			t.Errorf("%s describes:\n%s\nand registers:\n%s", role, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if _, hooks := d.doc["webhooks"]; hooks != (role == "origin") {
			t.Errorf("%s: webhooks %t", role, hooks)
		}
		if tags := len(d.doc["tags"].([]any)); tags != map[bool]int{true: 3, false: 2}[role == "origin"] {
			t.Errorf("%s: %d tags", role, tags)
		}
	}
}

// TestDescriptionHoldsTogether: of each role, every reference leads somewhere, every schema compiles, every operation says
// who it is and what it answers without the token, and every path parameter is described.
func TestDescriptionHoldsTogether(t *testing.T) {
	for _, role := range roles {
		t.Run(role, func(t *testing.T) { holdsTogether(t, readDescription(t, role)) })
	}
}

func holdsTogether(t *testing.T, d *description) {
	if v, _ := d.doc["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		t.Errorf("openapi %q", v)
	}
	used := map[string]bool{}
	var walk func(v any, where string)
	walk = func(v any, where string) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				if target, _ := d.at(strings.TrimPrefix(ref, "#")); target == nil {
					t.Errorf("%s: %s leads nowhere", where, ref)
				}
			}
			if _, ok := v["schema"]; ok {
				if _, err := d.compiler.Compile(descriptionURL + "#" + where + "/schema"); err != nil {
					t.Error(err)
				}
			}
			for name, x := range v {
				walk(x, where+pointer(name))
			}
		case []any:
			for i, x := range v {
				walk(x, where+pointer(strconv.Itoa(i)))
			}
		}
	}
	for _, part := range []string{"paths", "webhooks"} {
		walk(d.doc[part], pointer(part))
	}
	components := d.doc["components"].(map[string]any)
	walk(components, "/components")
	for _, kind := range []string{"schemas", "responses", "parameters"} {
		for name := range components[kind].(map[string]any) {
			if !used["#"+pointer("components", kind, name)] {
				t.Errorf("%s %s is not used", kind, name)
			}
			if kind == "schemas" {
				if _, err := d.compiler.Compile(descriptionURL + "#" + pointer("components", kind, name)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	ids := map[string]bool{}
	for _, operation := range d.operations() {
		method, path, _ := strings.Cut(operation, " ")
		v, _ := d.at(pointer("paths", path, strings.ToLower(method)))
		o := v.(map[string]any)
		id, _ := o["operationId"].(string)
		if id == "" || ids[id] || o["summary"] == nil || o["responses"] == nil || o["security"] == nil {
			t.Errorf("%s: operationId %q, summary, responses or security", operation, id)
		}
		ids[id] = true
		secured, err := json.Marshal(o["security"])
		if err != nil {
			t.Fatal(err)
		}
		if changes := method != http.MethodGet; changes != (string(secured) == `[{"token":[]}]`) {
			t.Errorf("%s: security %s", operation, secured)
		}
		for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
			item, _ := d.at(pointer("paths", path))
			shared, _ := item.(map[string]any)["parameters"].([]any)
			if !slices.ContainsFunc(shared, func(p any) bool {
				ref, _ := p.(map[string]any)["$ref"].(string)
				p, _ = d.at(strings.TrimPrefix(ref, "#"))
				of, _ := p.(map[string]any)
				return of["name"] == name[1] && of["in"] == "path"
			}) {
				t.Errorf("%s: the parameter %s is not described", operation, name[1])
			}
		}
	}
}
