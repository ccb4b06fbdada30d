package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/yaml"
)

const clientModule = "k8s.io/client-go"

// readManifests returns the documents of a file, each checked against the schema by which an API server applies it:
// unknown fields, values of another type and lists with a key twice are errors.
func readManifests(path string) (any, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOfKubernetes()
	if err != nil {
		return nil, fmt.Errorf("the schema of Kubernetes: %w", err)
	}
	types, err := typed.NewParser(typed.YAMLObject(schema))
	if err != nil {
		return nil, err
	}
	documents := []map[string]any{}
	for number, text := range bytes.Split(content, []byte("\n---\n")) {
		document := map[string]any{}
		if err := yaml.UnmarshalStrict(text, &document); err != nil {
			return nil, fmt.Errorf("%s, document %d: %w", path, number+1, err)
		}
		name, err := typeName(document)
		if err != nil {
			return nil, fmt.Errorf("%s, document %d: %w", path, number+1, err)
		}
		if name != "" {
			if _, err := types.Type(name).FromUnstructured(document); err != nil {
				return nil, fmt.Errorf("%s, document %d, %s: %w", path, number+1, name, err)
			}
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// typeName says what the schema calls the type of a document; nothing for a kustomization, which no API server sees.
func typeName(document map[string]any) (string, error) {
	version, _ := document["apiVersion"].(string)
	kind, _ := document["kind"].(string)
	if version == "" || kind == "" {
		return "", errors.New("apiVersion or kind is missing")
	}
	group, version, hasGroup := strings.Cut(version, "/")
	if !hasGroup {
		group, version = "core", group
	}
	if group == "kustomize.config.k8s.io" {
		return "", nil
	}
	return "io.k8s.api." + strings.TrimSuffix(group, ".k8s.io") + "." + version + "." + kind, nil
}

// schemaOfKubernetes reads the schema out of the source of the official client, which keeps it for itself. Compiling the
// types of the API in its place takes a minute. It is to be run in the folder of this module.
func schemaOfKubernetes() (string, error) {
	said, err := exec.Command("go", "mod", "download", "-json", clientModule).Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w: %s", clientModule, err, said)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(said, &module); err != nil {
		return "", err
	}
	source := filepath.Join(module.Dir, "applyconfigurations", "internal", "internal.go")
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
	if err != nil {
		return "", err
	}
	found := ""
	ast.Inspect(file, func(node ast.Node) bool {
		if text, is := node.(*ast.BasicLit); is && text.Kind == token.STRING && len(text.Value) > len(found) {
			found = text.Value
		}
		return true
	})
	return strconv.Unquote(found)
}
