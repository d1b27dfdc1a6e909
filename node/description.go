package node

import (
	_ "embed" // the description of the API
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// openAPI describes what all roles serve. An operation that only some have says so in x-roles; tests compare it with
// what each registers.
//
//go:embed openapi.json
var openAPI []byte

func (p *participant) showDescription(w http.ResponseWriter, _ *http.Request) {
	text, err := describeAPI(p.name)
	if err != nil {
		p.failed(w, "describing the API", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(text) //nolint:errcheck // the client may be gone
}

// describeAPI returns the description of what a role serves: the whole without the other roles' operations, and without
// the components and tags that only these use.
func describeAPI(role string) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		return nil, err
	}
	for _, part := range []string{"paths", "webhooks"} {
		items, _ := doc[part].(map[string]any)
		for path, item := range items {
			operations, _ := item.(map[string]any)
			for method, o := range operations {
				if o, ok := o.(map[string]any); ok && !hasRole(o, role) {
					delete(operations, method)
				}
			}
			if _, shared := operations["parameters"]; len(operations) == 0 || len(operations) == 1 && shared {
				delete(items, path)
			}
		}
		if len(items) == 0 {
			delete(doc, part)
		}
	}
	if info, ok := doc["info"].(map[string]any); ok {
		info["title"] = "Murmuration " + role
	}
	for prune(doc) {
	}
	return json.MarshalIndent(doc, "", "  ")
}

func hasRole(operation map[string]any, role string) bool {
	roles, limited := operation["x-roles"].([]any)
	return !limited || slices.Contains(roles, any(role))
}

// prune takes out the components and tags that nothing refers to, and reports whether there were any.
func prune(doc map[string]any) bool {
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				if ref, ok := x.(string); ok && name == "$ref" {
					used[ref] = true
				}
				if tags, ok := x.([]any); ok && name == "tags" {
					for _, tag := range tags {
						if tag, ok := tag.(string); ok {
							used["tag "+tag] = true
						}
					}
				}
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	found := false
	components, _ := doc["components"].(map[string]any)
	for kind, of := range components {
		if kind == "securitySchemes" {
			continue
		}
		of, _ := of.(map[string]any)
		for name := range of {
			if !used["#/components/"+kind+"/"+strings.ReplaceAll(name, "/", "~1")] {
				delete(of, name)
				found = true
			}
		}
	}
	if tags, ok := doc["tags"].([]any); ok {
		doc["tags"] = slices.DeleteFunc(tags, func(tag any) bool {
			t, _ := tag.(map[string]any)
			name, _ := t["name"].(string)
			return !used["tag "+name]
		})
	}
	return found
}
